"""Tokens for Microsoft Graph: credentials, certificates, assertions, clouds."""
