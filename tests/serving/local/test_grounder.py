import pytest

from serving.local.grounder import LexicalGrounder, TrainedGrounder

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


def trained(probabilities: dict[str, float], threshold: float = 0.4, asked: list | None = None) -> TrainedGrounder:
    def supports(pairs):
        if asked is not None:
            asked.extend(pairs)
        return [probabilities.get(premise, 0.0) for premise, _ in pairs]

    return TrainedGrounder(supports, threshold, "grounding@1")


def test_the_adapters_threshold_lies_at_a_half():
    quotes = ["Leave lasts weeks.", "Leave is long.", "Leave."]
    grounder = trained(dict(zip(quotes, (0.4, 0.7, 0.2), strict=True)))
    assert grounder.support("Parents get leave.", quotes) == [0.5, 0.75, 0.25]


def test_only_the_quotes_nearest_in_words_are_read():
    asked = []
    quotes = [
        "Tea is free.",
        "Parents get leave.",
        "Parents work.",
        "Leave is long.",
        "Parents of twins get more leave.",
    ]
    found = trained(dict.fromkeys(quotes, 0.9), asked=asked).support("All parents get leave.", quotes)
    assert len(asked) == 3
    assert found[0] == 0.0


def test_another_number_counts_against_a_quote_whatever_the_adapter_says():
    quote = "Parents get 22 weeks of leave."
    grounder = trained({quote: 0.99})
    assert grounder.support("Parents get 22 weeks.", [quote])[0] > 0.9
    assert grounder.support("Parents get 24 weeks.", [quote])[0] < grounder.threshold


def test_what_is_quoted_word_for_word_is_supported():
    quote = "Parents get leave."
    asked = []
    assert trained({quote: 0.0}, asked=asked).support("Parents get leave.", [quote]) == [1.0]
    assert asked == []
