"""Tokens for Microsoft Graph: credentials, certificates, federated assertions, clouds."""
