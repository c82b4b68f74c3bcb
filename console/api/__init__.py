"""The admin API: typed routes that call use cases, and the document that names them."""
