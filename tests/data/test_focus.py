from data.focus import focused

SENTENCES = [f"Plain sentence number {i} says little about anything at all." for i in range(30)]
SENTENCES[17] = "The mill burned in the great fire of 1931."
SENTENCES[22] = "Nobody was hurt when the mill burned."
LONG = " ".join(SENTENCES)


def test_a_short_premise_is_read_whole():
    assert focused("One. Two.", "Three.") == "One. Two."


def test_of_a_long_premise_the_sentences_nearest_the_hypothesis_are_kept_in_order():
    kept = focused(LONG, "The mill burned in 1931.", most_words=40)
    assert SENTENCES[17] in kept
    assert SENTENCES[22] in kept
    assert kept.index(SENTENCES[17]) < kept.index(SENTENCES[22])
    assert len(kept.split()) <= 40


def test_one_sentence_is_kept_even_where_it_is_too_long():
    assert focused("word " * 300, "other", most_words=40).split() == ["word"] * 300
