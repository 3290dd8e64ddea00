"""Questions and answers from SynthexAI, or from a service that keeps the same contract."""
