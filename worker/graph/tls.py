"""One TLS context for the whole process: loading the certificate authorities takes 15 ms each time."""

from __future__ import annotations

import ssl
from functools import lru_cache


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """Trusts the authorities of certifi, or of `SSL_CERT_FILE`, `SSL_CERT_DIR`; for login and Graph."""
    import httpx

    return httpx.create_ssl_context()
