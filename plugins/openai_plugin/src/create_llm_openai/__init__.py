"""Questions and answers from services that speak OpenAI's API."""
