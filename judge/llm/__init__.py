"""One chat model behind litellm: calls, retries, limits, prices, failures and P(label)."""
