"""Who sent that: the desk that asks the node's resolver, and the identity hooks.

Rooms ask it while they wait for nothing else, so whatever a resolver or a hook does, an answer
comes in time: UNKNOWN if nothing better is known. A node without a resolver has no need of it.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from math import inf
from typing import Any
from uuid import uuid4

import attrs
import trio
from attrs.validators import ge, gt, lt

from actors.machines.room.identifying import IdentityHookResult
from actors.room.hook_calling import where
from actors.room.identity_hooks import AskIdentityHooks as AskIdentityHooks
from actors.room.identity_hooks import IdentityHook as IdentityHook
from actors.room.identity_hooks import IdentityHooks as IdentityHooks
from models.rooms.capabilities import DEFAULT_REGION, address_of
from models.rooms.errors import AlreadyThere, Overloaded
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.identity import IdentityResult
from models.rooms.kinds import ChannelType, IdentificationStatus
from models.rooms.refusals import RefuseFor
from models.rooms.room import RoomContext
from models.rooms.traffic import FrameworkEvent, InboundMessage
from supervision import Actor, ActorRef, AskTimeout, ChildSpec, Promise, Request, System, handles
from supervision.tasks import only_cancelled, single
from transports.stores.requests import ResolveIdentity

logger = logging.getLogger("troupe.rooms")

UNKNOWN = IdentityResult(IdentificationStatus.UNKNOWN)


@attrs.frozen
class IdentityConfig:
    """How patiently senders are identified."""

    timeout: float = attrs.field(default=10.0, validator=[gt(0), lt(inf)])
    """Seconds a resolver may take; then the sender is unknown."""
    concurrent: int = attrs.field(default=64, validator=ge(1))
    """Senders that are looked up at the same time."""
    queue: int = attrs.field(default=1000, validator=ge(0))
    """Senders that may wait for their turn, within `timeout`; one more is unknown. As many calls
    of hooks may be under way; one more is refused."""


# -- what rooms ask --------------------------------------------------------------------------------


@attrs.frozen
class ResolveSender(Request[IdentityResult]):
    """Who sent that? `address` and `channel_type` are filled in. Never refused.

    An actor that is a resolver is asked this very thing.
    """

    message: InboundMessage
    event: RoomEvent
    context: RoomContext = attrs.field(repr=False)


@attrs.frozen
class AddIdentityHook(Request[None]):
    """One more. Refused (`RefusedFor`) with AlreadyThere if its trigger has one of that name."""

    hook: IdentityHook


@attrs.frozen
class RemoveIdentityHook(Request[bool]):
    """None of that name any more; answered with whether there was one."""

    name: str


IdentityMessage = ResolveSender | AskIdentityHooks | AddIdentityHook | RemoveIdentityHook


# -- resolvers -------------------------------------------------------------------------------------


@attrs.frozen
class AddressBook:
    """The resolver that looks the sender's address up among the identities of the store."""

    store: str = "/store"
    """Where the store is."""
    default_region: str = DEFAULT_REGION
    """Where phone numbers without a country code belong, as ISO 3166 has it."""

    async def resolve(self, request: ResolveSender, system: System) -> IdentityResult:
        """IDENTIFIED or UNKNOWN. Identities of other organizations than the room's are unknown."""
        kind = request.event.source.channel_type
        address = address_of(kind, request.message.sender_id, self.default_region)
        organization = request.context.room.organization_id
        store = system.ref(self.store)
        identity = await store.ask(ResolveIdentity(kind, address, organization))
        if identity is None and kind is ChannelType.MMS:  # the same number, with a picture
            sms = ResolveIdentity(ChannelType.SMS, address, organization)
            identity = await store.ask(sms)
        known = IdentificationStatus.IDENTIFIED if identity else IdentificationStatus.UNKNOWN
        return IdentityResult(known, identity, address=address, channel_type=kind)


ResolverFunction = Callable[[InboundMessage, RoomContext], Awaitable[IdentityResult]]
Resolver = ResolverFunction | AddressBook | ActorRef[ResolveSender]


# -- the desk --------------------------------------------------------------------------------------


@attrs.frozen
class IdentityStatistics:
    """What the desk has found out since it started."""

    under_way: int
    """Senders that are being looked up, or wait for it."""
    hooks: int
    """Hooks that are registered."""
    resolved: Mapping[str, int]
    """Senders by the status that the resolver gave them."""
    timeouts: int
    """Senders that are unknown because the resolver took too long."""
    failures: int
    """Senders that are unknown because the resolver failed."""
    turned_away: int
    """Senders that are unknown because too many were being looked up."""
    hook_failures: int
    """Hooks that were passed over because they failed or took too long."""


class IdentityDesk(Actor[IdentityMessage]):
    """Runs the resolver and the hooks, each under its deadline."""

    def __init__(
        self,
        resolver: Resolver | None,
        hooks: IdentityHooks | None = None,
        config: IdentityConfig | None = None,
    ) -> None:
        super().__init__()
        self._resolver = resolver
        self._hooks = hooks if hooks is not None else IdentityHooks()
        self._config = config or IdentityConfig()
        self._turns = trio.CapacityLimiter(self._config.concurrent)
        self._resolving = self._asking = 0
        self._resolved: dict[str, int] = {}
        self._timeouts = self._failures = self._turned_away = self._hook_failures = 0

    # -- resolving ------------------------------------------------------------------------

    @handles
    def on_resolve(self, message: ResolveSender) -> IdentityResult | None:
        resolver = self._resolver
        if resolver is None:
            return _filled(UNKNOWN, message)
        if self._resolving >= self._config.concurrent + self._config.queue:
            self._turned_away += 1
            return _filled(UNKNOWN, message)
        self._resolving += 1
        self.start_task(self._resolve, resolver, message, self.defer(), name="resolver")
        return None

    async def _resolve(
        self, resolver: Resolver, message: ResolveSender, promise: Promise[IdentityResult]
    ) -> None:
        result = UNKNOWN
        try:
            with trio.fail_after(self._config.timeout):
                async with self._turns:
                    result = await _call(resolver, message, self.system)
            if not isinstance(result, IdentityResult):
                raise TypeError(f"a resolver answers with an IdentityResult, not {type(result)}")
        except (trio.TooSlowError, AskTimeout):
            self._timeouts += 1
            result = UNKNOWN
            self._announce("identity_timeout", message.event, {"timeout": self._config.timeout})
        except BaseException as raised:  # noqa: BLE001  people's code: SystemExit is its failure too
            error = _failure(raised)
            self._failures += 1
            result = UNKNOWN
            _log("the identity resolver", error)
        else:
            self._resolved[result.status] = self._resolved.get(result.status, 0) + 1
        finally:
            self._resolving -= 1
        promise.resolve(_filled(result, message))

    # -- hooks ----------------------------------------------------------------------------

    @handles
    def on_ask_hooks(self, message: AskIdentityHooks) -> None:
        hooks = self._hooks.matching(message.trigger, message.event)
        if not hooks:
            return  # which answers None
        most = self._config.concurrent + self._config.queue
        if self._asking >= most:
            raise RefuseFor(Overloaded("the desk of identities", most))
        self._asking += 1
        self.start_task(self._ask_hooks, hooks, message, self.defer(), name="identity hooks")

    async def _ask_hooks(
        self,
        hooks: Sequence[IdentityHook],
        message: AskIdentityHooks,
        promise: Promise[IdentityHookResult | None],
    ) -> None:
        answer: IdentityHookResult | None = None
        try:
            for hook in hooks:
                answer = await self._ask_hook(hook, message)
                if answer is not None:
                    break
        finally:
            self._asking -= 1
        promise.resolve(answer)

    async def _ask_hook(
        self, hook: IdentityHook, message: AskIdentityHooks
    ) -> IdentityHookResult | None:
        """What it says; None, too, if it fails or takes too long."""
        told: dict[str, Any] = {"hook": hook.name, "trigger": hook.trigger.value}
        try:
            with trio.fail_after(hook.timeout):
                answer = await _call_hook(hook, message)
            if not isinstance(answer, IdentityHookResult | None):
                raise TypeError(f"an identity hook answers with {type(answer)}")
        except (trio.TooSlowError, AskTimeout):
            logger.warning("identity hook %r took more than %g s", hook.name, hook.timeout)
            self._hook_failures += 1
            self._announce("hook_timeout", message.event, told | {"timeout": hook.timeout})
            return None
        except BaseException as raised:  # noqa: BLE001  as above
            error = _failure(raised)
            _log(f"identity hook {hook.name!r}", error)
            self._hook_failures += 1
            self._announce("hook_error", message.event, told | {"error": type(error).__name__})
            return None
        return answer

    @handles
    def on_add(self, message: AddIdentityHook) -> None:
        try:
            self._hooks.add(message.hook)
        except AlreadyThere as error:
            raise RefuseFor(error) from None

    @handles
    def on_remove(self, message: RemoveIdentityHook) -> bool:
        return self._hooks.remove(message.name)

    # -- telling --------------------------------------------------------------------------

    def _announce(self, kind: str, event: RoomEvent, data: Mapping[str, Any] = NOTHING) -> None:
        self.system.events.publish(
            FrameworkEvent(
                uuid4().hex,
                kind,
                datetime.now(UTC),
                event.room_id,
                event.source.channel_id,
                event.id,
                data,
            )
        )

    def statistics(self) -> IdentityStatistics:
        return IdentityStatistics(
            under_way=self._resolving,
            hooks=len(self._hooks),
            resolved=dict(self._resolved),
            timeouts=self._timeouts,
            failures=self._failures,
            turned_away=self._turned_away,
            hook_failures=self._hook_failures,
        )

    def __repr__(self) -> str:
        return f"<IdentityDesk {self._resolving} being looked up, {len(self._hooks)} hooks>"


async def _call(resolver: Resolver, request: ResolveSender, system: System) -> IdentityResult:
    if isinstance(resolver, ActorRef):
        return await resolver.ask(request, timeout=inf)  # the caller's deadline holds
    if isinstance(resolver, AddressBook):
        return await resolver.resolve(request, system)
    return await resolver(request.message, request.context)


async def _call_hook(hook: IdentityHook, request: AskIdentityHooks) -> IdentityHookResult | None:
    if isinstance(hook.call, ActorRef):
        return await hook.call.ask(request, timeout=inf)
    answer = hook.call(request.event, request.context, request.result)
    return await answer if inspect.isawaitable(answer) else answer


def _failure(raised: BaseException) -> BaseException:
    """What went wrong. If it is only that we are being cancelled, that goes on."""
    error = single(raised)
    if only_cancelled(error):
        raise raised
    return error


def _log(what: str, error: BaseException) -> None:
    """Neither the error's text nor its traceback, for both may quote what was said."""
    logger.error("%s failed: %s at %s", what, type(error).__name__, where(error))


def _filled(result: IdentityResult, request: ResolveSender) -> IdentityResult:
    """With what the resolver left out about where it came from."""
    if result.address is not None and result.channel_type is not None:
        return result
    source = request.event.source
    address = request.message.sender_id if result.address is None else result.address
    return attrs.evolve(
        result, address=address, channel_type=result.channel_type or source.channel_type
    )


def identity_spec(
    resolver: Resolver | None,
    hooks: Iterable[IdentityHook] = (),
    config: IdentityConfig | None = None,
    name: str = "identity",
) -> ChildSpec[IdentityMessage]:
    """How the desk starts. Hooks that are added while it runs outlive its restarts.

    Raises:
        AlreadyThere: two hooks on one trigger have the same name.
    """
    return ChildSpec(name, partial(IdentityDesk, resolver, IdentityHooks.of(hooks), config))
