"""What each kind of channel can carry, as data, and how its addresses are written."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs
import phonenumbers

from models.rooms.kinds import ChannelMediaType, ChannelType
from models.rooms.room import TEXT_ONLY, ChannelCapabilities

_TEXT, _RICH, _MEDIA = ChannelMediaType.TEXT, ChannelMediaType.RICH, ChannelMediaType.MEDIA
_AUDIO, _VIDEO = ChannelMediaType.AUDIO, ChannelMediaType.VIDEO
_LOCATION, _TEMPLATE = ChannelMediaType.LOCATION, ChannelMediaType.TEMPLATE

_SMS = ChannelCapabilities(
    media_types=(_TEXT, _MEDIA),
    max_length=1600,
    supports_read_receipts=True,
    supports_media=True,
)
_VOICE_FORMATS = ("audio/wav", "audio/mpeg", "audio/ogg", "audio/webm")
_SPEECH = ChannelCapabilities(media_types=(_AUDIO, _TEXT), supports_audio=True)

CAPABILITIES: Mapping[ChannelType, ChannelCapabilities] = {
    ChannelType.WEBSOCKET: ChannelCapabilities(
        media_types=(_TEXT, _RICH, _MEDIA, _AUDIO, _VIDEO, _LOCATION),
        supports_typing=True,
        supports_read_receipts=True,
        supports_reactions=True,
        supports_edit=True,
        supports_delete=True,
        supports_threading=True,
        supports_rich_text=True,
        supports_media=True,
        supports_buttons=True,
        supports_cards=True,
        supports_quick_replies=True,
    ),
    ChannelType.SMS: _SMS,
    ChannelType.MMS: _SMS,
    ChannelType.RCS: ChannelCapabilities(
        media_types=(_TEXT, _RICH, _MEDIA),
        max_length=8000,
        supports_read_receipts=True,
        supports_typing=True,
        supports_rich_text=True,
        supports_buttons=True,
        supports_quick_replies=True,
        supports_cards=True,
        supports_media=True,
    ),
    ChannelType.EMAIL: ChannelCapabilities(
        media_types=(_TEXT, _RICH, _MEDIA),
        supports_threading=True,
        supports_rich_text=True,
        supports_media=True,
    ),
    ChannelType.WHATSAPP: ChannelCapabilities(
        media_types=(_TEXT, _RICH, _MEDIA, _LOCATION, _TEMPLATE),
        max_length=4096,
        supports_read_receipts=True,
        supports_reactions=True,
        supports_edit=True,
        supports_delete=True,
        supports_templates=True,
        supports_rich_text=True,
        supports_buttons=True,
        max_buttons=3,
        supports_quick_replies=True,
        supports_media=True,
    ),
    ChannelType.WHATSAPP_PERSONAL: ChannelCapabilities(
        media_types=(_TEXT, _RICH, _MEDIA, _AUDIO, _VIDEO, _LOCATION),
        max_length=4096,
        supports_read_receipts=True,
        supports_reactions=True,
        supports_edit=True,
        supports_delete=True,
        supports_typing=True,
        supports_media=True,
        supported_media_types=("image/jpeg", "image/png", "image/webp"),
        supports_audio=True,
        supported_audio_formats=("audio/ogg", "audio/mp4"),
        supports_video=True,
        supported_video_formats=("video/mp4",),
    ),
    ChannelType.MESSENGER: ChannelCapabilities(
        media_types=(_TEXT, _RICH, _MEDIA, _TEMPLATE),
        max_length=2000,
        supports_read_receipts=True,
        supports_delete=True,
        supports_buttons=True,
        max_buttons=3,
        supports_quick_replies=True,
        supports_media=True,
    ),
    ChannelType.TELEGRAM: ChannelCapabilities(
        media_types=(_TEXT, _RICH, _MEDIA, _LOCATION),
        max_length=4096,
        supports_edit=True,
        supports_delete=True,
        supports_reactions=True,
        supports_media=True,
    ),
    ChannelType.TEAMS: ChannelCapabilities(
        media_types=(_TEXT, _RICH),
        max_length=28000,
        supports_threading=True,
        supports_reactions=True,
        supports_edit=True,
        supports_delete=True,
        supports_read_receipts=True,
        supports_rich_text=True,
    ),
    ChannelType.DISCORD: ChannelCapabilities(
        media_types=(_TEXT, _RICH, _MEDIA),
        max_length=2000,
        supports_threading=True,
        supports_reactions=True,
        supports_rich_text=True,
        supports_media=True,
    ),
    ChannelType.BUZZ: ChannelCapabilities(
        max_length=65536, supports_threading=True, supports_reactions=True
    ),
    ChannelType.WEBHOOK: ChannelCapabilities(media_types=(_TEXT, _RICH)),
    ChannelType.AI: ChannelCapabilities(media_types=(_TEXT, _RICH), supports_rich_text=True),
    ChannelType.VOICE: attrs.evolve(
        _SPEECH, supported_audio_formats=_VOICE_FORMATS, max_audio_duration_seconds=3600.0
    ),
    ChannelType.REALTIME_VOICE: attrs.evolve(
        _SPEECH, custom={"realtime": True, "server_vad": True}
    ),
    ChannelType.CONFERENCE: ChannelCapabilities(media_types=(_AUDIO,), supports_audio=True),
    ChannelType.CLI: attrs.evolve(TEXT_ONLY, custom={"streaming": True}),
    ChannelType.HOST: ChannelCapabilities(media_types=tuple(ChannelMediaType)),
    # The matrix has no rows for these. The first two take words; the rest are for a later level.
    ChannelType.SYSTEM: TEXT_ONLY,
    ChannelType.PUSH: TEXT_ONLY,
    ChannelType.REALTIME_AUDIO_VIDEO: ChannelCapabilities(
        media_types=(_AUDIO, _VIDEO, _TEXT), supports_audio=True, supports_video=True
    ),
    ChannelType.VIDEO: ChannelCapabilities(media_types=(_VIDEO,), supports_video=True),
    ChannelType.AUDIO_VIDEO: ChannelCapabilities(
        media_types=(_AUDIO, _VIDEO, _TEXT), supports_audio=True, supports_video=True
    ),
}
"""What a channel of each kind carries unless it says otherwise itself: a deployment may.

Media, audio and video formats are MIME types. `HOST` is never delivered to and narrows nothing.

Source: spec/rooms.md 15. The published matrix (44.1) differs: RCS takes 3000 characters, location,
templates and reactions, and has no typing; WebSocket has no audio, video, location, buttons, cards,
quick replies, threading, editing or deleting; WhatsApp has typing and no quick replies; Messenger
has rich text. It knows ten kinds. What is here is what running adapters declare.
"""

AI_WITH_VISION = attrs.evolve(
    CAPABILITIES[ChannelType.AI], media_types=(_TEXT, _RICH, _MEDIA), supports_media=True
)
"""An agent whose model takes pictures."""

# -- addresses -------------------------------------------------------------------------------------

DEFAULT_REGION = "US"
"""Where a number without a country is, as ISO 3166 has it."""
_BY_PHONE = frozenset(
    {ChannelType.SMS, ChannelType.MMS, ChannelType.RCS, ChannelType.WHATSAPP, ChannelType.VOICE}
)
_LONGEST_NUMBER = 64
"""Characters; no way of writing a phone number is longer, and parsing takes its time."""


def normalized_phone(number: str, default_region: str = DEFAULT_REGION) -> str:
    """`number` in E.164: `+14155552671`. Ten bare digits or more are tried as international first.

    Raises:
        ValueError: it is no number that could be called.
    """
    number = number.strip()
    if len(number) <= _LONGEST_NUMBER:
        bare = number.isascii() and number.isdigit() and len(number) >= 10
        for written in (f"+{number}", number) if bare else (number,):
            try:
                parsed = phonenumbers.parse(written, default_region)
            except phonenumbers.NumberParseException:
                continue
            if phonenumbers.is_valid_number(parsed):
                return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    # The number is somebody's, and errors are logged: it is not repeated.
    raise ValueError(f"no phone number that could be called from region {default_region}")


def is_phone(number: str, default_region: str = DEFAULT_REGION) -> bool:
    """Whether it is a number that could be called."""
    try:
        normalized_phone(number, default_region)
    except ValueError:
        return False
    return True


def address_of(
    channel_type: ChannelType, address: str, default_region: str = DEFAULT_REGION
) -> str:
    """`address` as rooms compare it, so that one correspondent has one address.

    Phone numbers in E.164, mailboxes in lower case and without a name, all else without blanks at
    its ends. What should be a phone number and is none (a short code, `anonymous`, the name of a
    browser's user) is an address like any other: nothing that comes in is lost to its sender's.
    """
    address = address.strip()
    if channel_type is ChannelType.EMAIL:
        named = re.search(r"<([^<>]*)>$", address)
        return (named[1].strip() if named else address).lower()
    if channel_type in _BY_PHONE:
        try:
            return normalized_phone(address, default_region)
        except ValueError:
            return address
    return address
