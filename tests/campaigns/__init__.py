"""The long proofs. Each resumes where it was stopped, and appends its row to docs/campaigns.md when it is whole."""
