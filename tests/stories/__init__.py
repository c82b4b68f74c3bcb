"""Orders of events in a tiny company, played whole: Entra's push, Graph, and real cycles, in one process.

After every step every secret that was ever issued is tried, every history read, every mark and membership looked at
(docs/safety.md, "Whose an account is").
"""
