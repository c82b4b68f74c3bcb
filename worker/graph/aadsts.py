"""What an admin does about a refusal of the token endpoint (Microsoft Entra authentication error codes)."""

from __future__ import annotations

from collections.abc import Mapping

SECRET_EXPIRED = 7000222

REMEDIES: Mapping[int, str] = {
    7000215: "The client secret is wrong (often its ID was pasted, not its Value): set a new one.",
    SECRET_EXPIRED: "The client secret has expired: create a new one (Certificates & secrets) and set it here.",
    7000216: "No credential was accepted: set a client secret or a certificate for the connection.",
    700016: "The directory does not know this client id: check it and the tenant id, or give consent first.",
    7000112: "The app is disabled in the directory: enable it (Enterprise applications > Properties).",
    90002: "There is no such tenant: check tenant id and login URL (national clouds have their own).",
    900023: "The tenant id is malformed: use the directory's GUID or a verified domain.",
    700027: "The certificate does not fit: upload this one to the app registration, or set that one.",
    700030: "The certificate is not valid for this app: upload a current one and set it here.",
    70021: "No federated credential matches: compare issuer, subject and audience with the registration.",
    700211: "The app trusts no federated credential of this issuer: add one (Certificates & secrets).",
    700212: "The federated credential of the app expects another audience: compare both.",
    700213: "The federated credential of the app expects another subject: compare both.",
    50013: "The federated assertion is not signed by its issuer's published keys: check the token's source.",
    700024: "The assertion is outside its validity: check this machine's clock.",
    65001: "Nobody has consented to the app in this directory: open the admin consent link.",
    50196: "Entra saw a loop of requests from this app and pauses it: wait some minutes.",
    53003: "A Conditional Access policy blocks the app: exempt its service principal, or allow this network.",
    50194: "The app is single-tenant: use the login URL with the tenant id.",
}
