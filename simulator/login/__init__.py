"""login.microsoftonline.com of the simulated tenant: metadata, app tokens, and signing
people in.
"""
