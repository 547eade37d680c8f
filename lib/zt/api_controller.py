# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# The /controller part of the HTTP API (VL2 8.1): it maps URLs to the controller's calls. What a
# network or member object means is the controller's business.

from ._compat import hexs, ticks_ms, wall_ms

_NEW_SUFFIX = "______"
_NWID = "/controller/network/<nwid>"
_MEMBER = _NWID + "/member/<address>"


class Routes:
    """The handlers; `api` is the api.API they belong to."""

    def __init__(self, api):
        self._api = api
        api.route("/controller", ["GET"], self._about)
        api.route("/controller/network", ["GET"], self._networks)
        api.route("/controller/network", ["POST"], self._create)
        api.route(_NWID, ["GET"], self._network)
        api.route(_NWID, ["POST"], self._put)
        api.route(_NWID, ["DELETE"], self._delete)
        api.route(_NWID + "/member", ["GET"], self._members)
        api.route(_MEMBER, ["GET"], self._member)
        api.route(_MEMBER, ["POST"], self._put_member)
        api.route(_MEMBER, ["DELETE"], self._delete_member)
        api.route("/unstable" + "/controller/network", ["GET"], self._all_networks)
        api.route("/unstable" + _NWID + "/member", ["GET"], self._all_members)

    def _controller(self):
        return self._api.host.controller

    async def _about(self, request):
        if self._controller() is None:
            return self._api.answer({}, 404)
        return self._api.answer(
            {"controller": True, "apiVersion": 4, "clock": wall_ms(), "databaseReady": True}
        )

    async def _networks(self, request):
        c = self._controller()
        if c is None:
            return self._api.answer({}, 404)
        return self._api.answer([hexs(n) for n in c.networks()])

    def _put_network(self, nwid, body):
        c = self._controller()
        if c is None:
            return self._api.answer({}, 404)
        try:
            return self._api.answer(c.put_network(ticks_ms(), nwid, body))
        except ValueError as e:
            return self._api.answer({"error": 400, "description": str(e)}, 400)

    async def _create(self, request):
        return self._put_network(None, self._api.body_of(request))

    async def _put(self, request, nwid):
        body = self._api.body_of(request)
        if len(nwid) == 16 and nwid.endswith(_NEW_SUFFIX):
            if nwid[:10] != self._api.host.address():
                return self._api.answer({}, 400)
            return self._put_network(None, body)
        key = self._api.key_of(nwid, 8)
        return self._put_network(key, body) if key else self._api.answer({}, 404)

    def _found(self, value):
        return self._api.answer({}, 404) if value is None else self._api.answer(value)

    def _call(self, nwid, address, f):
        """f(controller, nwid, address) with ids as bytes; None where one is no id."""
        c = self._controller()
        key = self._api.key_of(nwid, 8)
        who = self._api.key_of(address, 5) if address is not None else b""
        if c is None or key is None or who is None:
            return None
        return f(c, key, who)

    async def _network(self, request, nwid):
        return self._found(self._call(nwid, None, lambda c, n, a: c.network(n)))

    async def _delete(self, request, nwid):
        now = ticks_ms()
        return self._found(self._call(nwid, None, lambda c, n, a: c.delete_network(now, n)))

    async def _members(self, request, nwid):
        found = self._call(nwid, None, lambda c, n, a: c.members(n))
        if found is not None:
            found = {hexs(a): found[a] for a in found}
        return self._found(found)

    async def _member(self, request, nwid, address):
        return self._found(self._call(nwid, address, lambda c, n, a: c.member(n, a)))

    async def _put_member(self, request, nwid, address):
        body = self._api.body_of(request)
        now = ticks_ms()
        try:
            return self._found(
                self._call(nwid, address, lambda c, n, a: c.put_member(now, n, a, body))
            )
        except ValueError as e:
            return self._api.answer({"error": 400, "description": str(e)}, 400)

    async def _delete_member(self, request, nwid, address):
        now = ticks_ms()
        return self._found(self._call(nwid, address, lambda c, n, a: c.delete_member(now, n, a)))

    # Everything at once, for management programs.

    def _records(self, c, nwid):
        return [c.member(nwid, a) for a in sorted(c.members(nwid))]

    async def _all_networks(self, request):
        c = self._controller()
        if c is None:
            return self._api.answer({}, 404)
        data = []
        for nwid in c.networks():
            members = self._records(c, nwid)
            n = dict(c.network(nwid))
            n["meta"] = {
                "authorizedMemberCount": len([m for m in members if m["authorized"]]),
                "totalMemberCount": len(members),
            }
            data.append(n)
        return self._api.answer({"data": data, "meta": {"networkCount": len(data)}})

    async def _all_members(self, request, nwid):
        def collect(c, n, a):
            return self._records(c, n) if c.network(n) is not None else None

        members = self._call(nwid, None, collect)
        if members is None:
            return self._api.answer({}, 404)
        authorized = len([m for m in members if m["authorized"]])
        meta = {"authorizedCount": authorized, "totalCount": len(members)}
        return self._api.answer({"data": members, "meta": meta})
