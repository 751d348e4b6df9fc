"""PlainHttp: httpx's functions for http URLs. For each call, httpx alone reads all certificates that the system trusts.

That takes 20 times as long as all the rest, and tests call again and again until something is there.
"""

from __future__ import annotations

import ssl
from functools import partial

import httpx

TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, verify=TRUSTS_NOBODY)
head = partial(httpx.head, verify=TRUSTS_NOBODY)
post = partial(httpx.post, verify=TRUSTS_NOBODY)
request = partial(httpx.request, verify=TRUSTS_NOBODY)
stream = partial(httpx.stream, verify=TRUSTS_NOBODY)
Client = partial(httpx.Client, verify=TRUSTS_NOBODY)
AsyncClient = partial(httpx.AsyncClient, verify=TRUSTS_NOBODY)
