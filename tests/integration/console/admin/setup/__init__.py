"""Tests of the use cases in console.admin.setup."""
