import pytest

from serving.local.grounder import LexicalGrounder

GROUNDER = LexicalGrounder()


def support(sentence: str, quote: str) -> float:
    return GROUNDER.support(sentence, [quote])[0]


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Tea is free.", "Tea is free. Coffee is not."),
        ("The Gold contract costs EUR 1,950 per year.", "Contract: Gold, Fee per year in EUR: 1950"),
        ("Parents are allowed 22 weeks of leave.", "Every parent is allowed to take 22 weeks of leave."),
        ("Codes by text message are not accepted.", "We accept no codes by text message."),
    ],
)
def test_what_the_quote_says_is_supported(sentence, quote):
    assert support(sentence, quote) >= GROUNDER.threshold


@pytest.mark.parametrize(
    ("sentence", "quote"),
    [
        ("Tea is free.", "Vans are blue."),
        ("Parents are allowed 29 weeks of leave.", "Every parent is allowed to take 22 weeks of leave."),
        ("Codes by text message are accepted.", "Codes by text message are not accepted."),
        ("Tea is never free.", "Tea is free."),
        ("It is.", "Tea is free."),
        ("", "Tea is free."),
        ("Tea is free.", ""),
    ],
)
def test_what_the_quote_does_not_say_is_not(sentence, quote):
    assert support(sentence, quote) < GROUNDER.threshold


def test_there_is_one_value_per_quote_from_0_to_1():
    found = GROUNDER.support("Tea is free.", ["Tea is free.", "Vans.", "Tea costs."])
    assert found[0] == 1.0
    assert found[1] == 0.0
    assert 0 < found[2] < 1
