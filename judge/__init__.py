"""Score Chinese LLM answers on the Flames benchmark, with a judge that can be trusted."""
