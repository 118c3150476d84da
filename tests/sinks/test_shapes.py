"""Each kind of sink: what may enter it, written by the owner, read from outside, or joined of both."""

import pytest

from orchestrator.expressions import bind
from orchestrator.sinks import misshapen
from orchestrator.types import Json, SinkKind

OWN = "https://api.partner.example/orders/"


def fits(kind: SinkKind, written: Json, given: Json = None) -> bool:
    variables: dict[str, Json] = {"event": {"data": {"x": given}}, "goal": {"id": "g", "text": "t"}}
    value = bind({"a": written}, variables)["a"]
    return misshapen(kind, value, written, variables) is None


@pytest.mark.parametrize("value", ["ada@shop.example", "ada+shop@shop.example", "acct-7", "+49301234", "#alerts"])
def test_a_recipient_is_one_address_account_or_name(value: str) -> None:
    assert fits("recipient", "=event.data.x", value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a@b.example, m@evil.example",
        "a@b.example;m@evil.example",
        "a@b.example m",
        "a@b.example\r\nBcc: m@evil.example",
        '"a@b.example"@evil.example',
        "<a@b.example>",
        "a@b.example@evil.example",
        "ada@shop\u200b.example",
        "\u202eelpmaxe",
        "\uff41da@shop.example",
        "a\0b",
        ["a", "b"],
        {"to": "a"},
        666,
        None,
        True,
    ],
)
def test_what_may_be_two_recipients_or_looks_like_another_is_none(value: Json) -> None:
    assert not fits("recipient", "=event.data.x", value)


@pytest.mark.parametrize("value", [0, 50, 50.5, 2**53])
def test_an_amount_is_an_exact_number_from_zero_up(value: float) -> None:
    assert fits("amount", "=event.data.x", value)


@pytest.mark.parametrize("value", [-1, -0.5, 2**53 + 1, 1e308, "5", "1e6", True, [1], None])
def test_everything_else_is_no_amount(value: Json) -> None:
    assert not fits("amount", "=event.data.x", value)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("nan"), float("inf")])
def test_what_a_planner_makes_up_is_no_amount_either(value: float) -> None:
    assert misshapen("amount", value, None) is not None


@pytest.mark.parametrize("kind", ["sql", "shell"])
@pytest.mark.parametrize("value", ["nginx", "nginx.service", "web-1", "a_b-c.d"])
def test_a_word_may_stand_in_what_the_owner_runs(kind: SinkKind, value: str) -> None:
    assert fits(kind, "='restart ' + event.data.x", value)
    assert not fits(kind, "=event.data.x", value), "it would be all of it"
    assert not fits(kind, "=' ' + event.data.x", value), "so would it behind a space"


@pytest.mark.parametrize("kind", ["sql", "shell"])
@pytest.mark.parametrize(
    "value",
    ["", "a b", "a;b", "$(a)", "-H", "a--b", "a-", "a\nb", "a'b", "\uff07", "..", "a/b", "a\0", 'a"', "`a`", "a|b"],
)
def test_what_is_more_than_a_word_is_not_run(kind: SinkKind, value: str) -> None:
    assert not fits(kind, "='restart ' + event.data.x", value)


def test_what_the_owner_wrote_out_is_run_as_it_stands() -> None:
    assert fits("shell", "systemctl restart nginx; reboot")
    assert fits("sql", "='SELECT ' + \"'\" + goal.id")


@pytest.mark.parametrize("value", ["job.txt", "passwd-100.txt", "a b", "mdl.toml.txt"])
def test_one_name_below_the_owners_folder_is_a_path(value: str) -> None:
    assert fits("path", "='reports/' + event.data.x", value)


@pytest.mark.parametrize(
    "value", ["a/b", "..", ".", "", "%2e%2e%2fetc", "..\\a", "a:b", "a?b", "shell.php\0.txt", "~root"]
)
def test_what_leaves_the_owners_folder_is_no_path(value: str) -> None:
    assert not fits("path", "='reports/' + event.data.x", value)


def test_a_whole_path_from_outside_is_relative_and_not_one_of_ours() -> None:
    assert fits("path", "=event.data.x", "reports/2026/keys.txt")
    assert fits("path", "=event.data.x", "notes/mdl.toml.txt")
    refused = ["/etc/passwd", "a/../b", "~/x", "a\\b", "mdl.toml", "MDL.toml", "./.mdl/journal.db", "a/.././mdl.toml"]
    refused += ["%2e%2e/x", "%252e%252e/x", "\uff0e\uff0e/x", "control.sock", "a/.mdl/x", "", "a\nb", "a\0b"]
    assert [value for value in refused if fits("path", "=event.data.x", value)] == []


@pytest.mark.parametrize("written", ["/etc/motd", "../x", "mdl.toml", "='.mdl/' + goal.id"])
def test_not_even_the_owner_writes_there(written: str) -> None:
    assert not fits("path", written)


@pytest.mark.parametrize("value", ["A-17", "A-17.b", "1_HTTP", "17-refund"])
def test_one_segment_behind_the_owners_host_is_a_url(value: str) -> None:
    assert fits("url", f"='{OWN}' + event.data.x", value)
    assert fits("url", f"='{OWN.replace('https', 'http')}' + event.data.x + '/paid'", value), "the owner wrote http"


@pytest.mark.parametrize(
    "value",
    ["../a", "%2e%2e", "a/b", "17?refund=true", "17&a=b", "a#b", "a@b", "a:b", "a\r\nHost: b", "", ".", "a\\b", "a b"],
)
def test_more_than_a_segment_is_none(value: str) -> None:
    assert not fits("url", f"='{OWN}' + event.data.x", value)


@pytest.mark.parametrize("value", ["@evil.example/in", ":pw@evil.example/in", ".evil.example", "/in"])
def test_nothing_is_joined_before_the_slash_that_ends_the_host(value: str) -> None:
    assert not fits("url", "='https://api.partner.example' + event.data.x", value)
    assert not fits("url", "='https://' + event.data.x", f"evil.example{value}")
    assert not fits("url", "=event.data.x + 'orders'", f"https://evil.example{value}/")


@pytest.mark.parametrize(
    "value",
    ["https://img.example/7.png", "https://img.example", "https://1.1.1.1/x", "https://img.example:8443/a?b=%20c#d"],
)
def test_a_whole_url_from_outside_leads_to_the_open_internet(value: str) -> None:
    assert fits("url", "=event.data.x", value)


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.5", "127.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1"),  # noqa: S104
        *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "1.1.1.01", "1.1.1.1."),
        *(
            "[::1]",
            "[::ffff:169.254.169.254]",
            "[fe80::1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "[2001:4860::0088]",
        ),
        *(
            "localhost",
            "LOCALHOST",
            "metadata.internal",
            "a.local",
            "printer",
            "api.partner.example.",
            "a..example",
            "-a.example",
        ),
        *(
            "u@img.example",
            "img.example\\@evil.example",
            "img.example:99999999",
            "img_a.example",
            "\u0430pi.example",
            "%31.1.1.1",
        ),
    ],
)
def test_a_host_of_the_inside_or_in_another_spelling_is_refused(host: str) -> None:
    assert not fits("url", "=event.data.x", f"https://{host}/partner.example/")


@pytest.mark.parametrize(
    "value",
    ["http://img.example/", "file:///etc/passwd", "ftp://img.example/", "//img.example/", "HTTPS://img.example/", 7],
)
def test_a_url_from_outside_is_https(value: Json) -> None:
    assert not fits("url", "=event.data.x", value)


def test_the_owner_may_write_out_any_host() -> None:
    assert fits("url", "http://10.0.0.5:8500/v1/kv")
    assert not fits("url", "http://user@10.0.0.5/")
    assert not fits("url", "https://api.partner.example/a/../b")


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("=[event.data.x, 'orders'].join('/')", "https://evil.example"),
        ("=event.data.x.lowerAscii()", "https://evil.example/"),
        ("='https://api.partner.example/'.replace('api.partner', event.data.x)", "evil"),
        ("='https://api.partner.example/' + event.data.x.substring(1)", "/a/b"),
        ("='https://api.partner.example/' + event.data.x.trim() + '/' + event.data.x.trim()", "a"),
    ],
)
def test_what_is_computed_from_outside_counts_as_joined(written: str, text: str) -> None:
    assert not fits("url", written, text)


def test_computed_texts_are_segments_too() -> None:
    assert fits("url", f"='{OWN}' + event.data.x.lowerAscii() + '/paid'", "A17")
    assert fits("path", "='reports/' + string(event.data.x)", 17)


def test_a_choice_between_what_the_owner_wrote_is_the_owners() -> None:
    written = "=event.data.x == 'fast' ? 'http://10.0.0.5/a/b' : 'https://api.partner.example/'"
    assert fits("url", written, "fast")
    assert fits("url", written, "slow")
    assert not fits("url", "=event.data.x != '' ? event.data.x : 'https://api.partner.example/'", "http://10.0.0.5/a/b")
    assert fits("url", "=event.data.x != '' ? event.data.x : 'https://api.partner.example/'", "")
