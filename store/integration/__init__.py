"""What the vendor's programs use: operators' tokens, idempotency keys, webhooks."""
