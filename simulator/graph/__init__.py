"""Microsoft Graph v1.0 over a `Directory`: transport-free request in, answer out.

One module per part of the API.

What holds for several parts (wire values, query options, paging, rendering) has a
module of its own; the table of addresses with their permissions and prices is `routes`.
HTTP is put around it by `simulator.server`.
"""
