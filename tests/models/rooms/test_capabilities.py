"""What each kind of channel carries, and how its addresses are compared."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.rooms.capabilities import (
    AI_WITH_VISION,
    CAPABILITIES,
    address_of,
    is_phone,
    normalized_phone,
)
from models.rooms.kinds import ChannelMediaType, ChannelType
from models.rooms.room import ChannelCapabilities

MATRIX: Sequence[tuple[ChannelType, str, int | None, str]] = [
    (
        ChannelType.WEBSOCKET,
        "text rich media audio video location",
        None,
        "typing read_receipts reactions edit delete threading rich_text media buttons cards "
        "quick_replies",
    ),
    (ChannelType.SMS, "text media", 1600, "read_receipts media"),
    (ChannelType.MMS, "text media", 1600, "read_receipts media"),
    (
        ChannelType.RCS,
        "text rich media",
        8000,
        "read_receipts typing rich_text buttons quick_replies cards media",
    ),
    (ChannelType.EMAIL, "text rich media", None, "threading rich_text media"),
    (
        ChannelType.WHATSAPP,
        "text rich media location template",
        4096,
        "read_receipts reactions edit delete templates rich_text buttons quick_replies media",
    ),
    (
        ChannelType.WHATSAPP_PERSONAL,
        "text rich media audio video location",
        4096,
        "read_receipts reactions edit delete typing media audio video",
    ),
    (
        ChannelType.MESSENGER,
        "text rich media template",
        2000,
        "read_receipts delete buttons quick_replies media",
    ),
    (ChannelType.TELEGRAM, "text rich media location", 4096, "edit delete reactions media"),
    (
        ChannelType.TEAMS,
        "text rich",
        28000,
        "threading reactions edit delete read_receipts rich_text",
    ),
    (ChannelType.DISCORD, "text rich media", 2000, "threading reactions rich_text media"),
    (ChannelType.BUZZ, "text", 65536, "threading reactions"),
    (ChannelType.WEBHOOK, "text rich", None, ""),
    (ChannelType.AI, "text rich", None, "rich_text"),
    (ChannelType.VOICE, "audio text", None, "audio"),
    (ChannelType.REALTIME_VOICE, "audio text", None, "audio"),
    (ChannelType.CONFERENCE, "audio", None, "audio"),
    (ChannelType.CLI, "text", None, ""),
    (ChannelType.HOST, " ".join(ChannelMediaType), None, ""),
]


def flags_of(capabilities: ChannelCapabilities) -> set[str]:
    raised = attrs.asdict(capabilities, recurse=False)
    return {
        name.removeprefix("supports_")
        for name, value in raised.items()
        if name.startswith("supports_") and value
    }


@pytest.mark.parametrize(("channel_type", "media_types", "max_length", "flags"), MATRIX)
def test_a_row_of_the_matrix(
    channel_type: ChannelType, media_types: str, max_length: int | None, flags: str
) -> None:
    capabilities = CAPABILITIES[channel_type]
    assert [str(media) for media in capabilities.media_types] == media_types.split()
    assert capabilities.max_length == max_length
    assert flags_of(capabilities) == set(flags.split())


def test_the_finer_points_of_the_matrix() -> None:
    assert CAPABILITIES[ChannelType.WHATSAPP].max_buttons == 3
    assert CAPABILITIES[ChannelType.MESSENGER].max_buttons == 3
    assert CAPABILITIES[ChannelType.VOICE].max_audio_duration_seconds == 3600
    assert len(CAPABILITIES[ChannelType.VOICE].supported_audio_formats) == 4
    assert CAPABILITIES[ChannelType.REALTIME_VOICE].custom == {"realtime": True, "server_vad": True}
    assert CAPABILITIES[ChannelType.CLI].custom == {"streaming": True}
    assert ChannelMediaType.MEDIA in AI_WITH_VISION.media_types
    assert AI_WITH_VISION.supports_media


def test_every_kind_of_channel_has_a_row() -> None:
    assert set(CAPABILITIES) == set(ChannelType)


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+14155552671", "+14155552671"),
        (" +1 (415) 555-2671 ", "+14155552671"),
        ("(415) 555-2671", "+14155552671"),
        ("4155552671", "+14155552671"),
        ("14155552671", "+14155552671"),
        ("4930901820", "+4930901820"),  # ten digits that are international as they stand
        ("+49 30 901820", "+4930901820"),
        ("tel:+1-415-555-2671", "+14155552671"),
    ],
)
def test_a_phone_number_has_one_form(written: str, number: str) -> None:
    assert normalized_phone(written) == number
    assert is_phone(written)


def test_a_number_without_a_country_is_of_the_region() -> None:
    assert normalized_phone("030 901820", "DE") == "+4930901820"


@pytest.mark.parametrize("written", ["", "ann", "12345", "+1 555", "sip:a@b", "1" * 70, "+0"])
def test_what_cannot_be_called_is_no_phone_number(written: str) -> None:
    assert not is_phone(written)
    with pytest.raises(ValueError, match="could be called from region US"):
        normalized_phone(written)


@pytest.mark.parametrize(
    ("channel_type", "written", "address"),
    [
        (ChannelType.SMS, "(415) 555-2671", "+14155552671"),
        (ChannelType.MMS, "4155552671", "+14155552671"),
        (ChannelType.RCS, "+1 415 555 2671", "+14155552671"),
        (ChannelType.WHATSAPP, "14155552671", "+14155552671"),
        (ChannelType.VOICE, "+1-415-555-2671", "+14155552671"),
        (ChannelType.VOICE, "anonymous", "anonymous"),
        (ChannelType.SMS, "32665", "32665"),  # a short code
        (ChannelType.SMS, "ACME", "ACME"),
        (ChannelType.EMAIL, " Ann.Lee@Example.ORG ", "ann.lee@example.org"),
        (ChannelType.EMAIL, "Ann Lee <Ann@Example.org>", "ann@example.org"),
        (ChannelType.TELEGRAM, " 4155552671", "4155552671"),
        (ChannelType.DISCORD, "AbC", "AbC"),
        (ChannelType.TEAMS, "29:1x-Y", "29:1x-Y"),
        (ChannelType.WEBSOCKET, "Ann", "Ann"),
    ],
)
def test_an_address_is_compared_as_its_channel_understands_it(
    channel_type: ChannelType, written: str, address: str
) -> None:
    assert address_of(channel_type, written) == address


@given(st.sampled_from(list(ChannelType)), st.text(max_size=80))
def test_any_address_has_one_form_and_keeps_it(channel_type: ChannelType, written: str) -> None:
    once = address_of(channel_type, written)
    assert address_of(channel_type, once) == once
