"""Tests of the use cases in console.admin.sessions."""
