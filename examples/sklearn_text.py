"""Texts by TF-IDF: 50,000 columns, nearly all of them 0 in each row. The matrix is never made dense.

python examples/sklearn_text.py
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from chainrule.sklearn import MLPClassifier

TOPICS = ("weather", "cooking", "sailing", "music")


def written(rng: np.random.Generator, documents: int, words: int = 60) -> tuple[list[str], list[str]]:
    """Texts of made-up words. All topics use the same 4,000; one in eight is a word that a topic prefers."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    vocabulary = np.array(["".join(rng.choice(syllables, 3)) for _ in range(4000)])
    rarity = 1 / np.arange(1, 4001)
    topics = rng.integers(len(TOPICS), size=documents)
    texts = []
    for topic in topics:
        common = rng.choice(4000, words, p=rarity / rarity.sum())
        preferred = 500 + 200 * topic + rng.integers(200, size=words)
        texts.append(" ".join(vocabulary[np.where(rng.random(words) < 1 / 8, preferred, common)]))
    return texts, [TOPICS[topic] for topic in topics]


def main() -> None:
    texts, topics = written(np.random.default_rng(0), 2500)
    train, test, t_train, t_test = train_test_split(texts, topics, random_state=0)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), max_features=50_000, dtype=np.float32)
    network = MLPClassifier(hidden_layer_sizes=(32,), tol=0.01, n_iter_no_change=3, random_state=0)
    model = make_pipeline(vectorizer, network)

    start = time.perf_counter()
    model.fit(train, t_train)
    duration = time.perf_counter() - start
    rows = vectorizer.transform(train)
    print(f"{rows.shape[0]} texts, {rows.shape[1]} columns, {rows.nnz / rows.shape[0]:.0f} numbers in a row")
    print(
        f"{rows.data.nbytes / 2**20:.1f} MB of numbers, {4 * np.prod(rows.shape) / 2**20:.0f} MB if made dense"
    )
    print(f"{network.n_iter_} epochs in {duration:.1f} s\n")

    print("Test accuracy. Expected: above 0.9")
    score = model.score(test, t_test)
    print(f"    {score:.4f}")
    assert score > 0.9

    print("\nThe first of the texts to test on:")
    chances = model.predict_proba(test[:1])[0]
    for chance, topic in sorted(zip(chances, model.classes_, strict=True), reverse=True):
        print(f"    {chance:.3f}  {topic}{'  (right)' if topic == t_test[0] else ''}")


if __name__ == "__main__":
    main()
