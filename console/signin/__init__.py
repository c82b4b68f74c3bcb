"""Sign-in of people through OpenID Connect, and what the vendor's app asks about it.

Belongs here: the flow with the identity provider, the ID token, cookies, pages and the
routes. Does not belong here: which account a person has, and what a session is: those
are use cases (`console.admin.sessions`).
"""
