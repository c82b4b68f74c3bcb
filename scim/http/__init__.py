"""SCIM over aiohttp: bodies, streamed answers, client addresses."""
