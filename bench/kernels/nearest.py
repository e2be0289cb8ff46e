"""The part of a decision that a vector index can do: the 32 largest inner products with a taste.

Among all variants, or among the eligible. Who is eligible is handed to every arm before it is
timed, in the form it is fastest with: no arm here looks at a request, a viewer or a campaign.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.kernels.catalogue import DIM, REQUESTS, SHORTLIST_MAX, Catalogue, bits
from bench.kernels.vectorised import Vectorised
from kernels._jit import F4_IN, F4_IN_2D, F4_OUT, I4_OUT, U8_IN, kernel, trailing_zeros
from kernels.scoring import dot

try:
    import faiss
except ModuleNotFoundError:
    faiss = None

Search = Callable[[int], np.ndarray]
"""From which request to the variants found, best first."""


@kernel((F4_IN_2D, F4_IN, U8_IN, I4_OUT, F4_OUT))
def largest_products(
    vectors: NDArray[np.float32],
    taste: NDArray[np.float32],
    members: NDArray[np.uint64],
    ids: NDArray[np.int32],
    products: NDArray[np.float32],
) -> int:
    """Fill ids and products with the best of a bitmap's members, best first; return how many."""
    length = 0
    for w in range(members.shape[0]):
        word = members[w]
        while word != np.uint64(0):
            i = 64 * w + trailing_zeros(word)
            word &= word - np.uint64(1)
            product = dot(taste, vectors, i)
            if length < ids.shape[0]:
                length += 1
            elif product <= products[length - 1]:
                continue
            place = length - 1
            while place > 0 and products[place - 1] < product:
                ids[place], products[place] = ids[place - 1], products[place - 1]
                place -= 1
            ids[place], products[place] = i, product
    return length


class Nearest:
    """One catalogue's vectors, and the arms that search them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.vectors, self.taste = catalogue.arrays["vectors"], catalogue.taste
        vectorised = Vectorised(catalogue)
        masks = [vectorised.eligible(i) for i in range(REQUESTS)]
        self.eligible = [np.flatnonzero(mask) for mask in masks]
        self.bitmaps = [bits(mask) for mask in masks]
        self.all = bits(np.ones(len(self.vectors), bool))

    def arms(self) -> dict[str, dict[str, Search]]:
        """Return the arms by what they search; those of faiss only where it is installed."""

        def gathered(i: int) -> np.ndarray:
            found = self.eligible[i]
            return found[self._best_rows(self.vectors[found])]

        ways: dict[str, dict[str, Search]] = {
            "all": {
                "kernel": self._kernel([self.all] * REQUESTS),
                "NumPy": lambda _: self._best_rows(self.vectors),
            },
            "eligible": {"kernel": self._kernel(self.bitmaps), "NumPy": gathered},
        }
        if faiss:
            for among, searches in self._with_faiss().items():
                ways[among] |= searches
        return ways

    def assert_same(self, among: str, search: Search) -> None:
        """Fail when other variants are found than in double precision, but for ties and rounding.

        What counts is that the nth variant found is as good as the nth best, is a member, and is
        found once: variants closer to each other than float32 can tell may change places.
        """
        exact = self.vectors.astype(float) @ self.taste.astype(float)
        for i in range(REQUESTS):
            members = np.arange(len(exact)) if among == "all" else self.eligible[i]
            found = search(i)
            assert np.isin(found, members).all()
            assert len(np.unique(found)) == len(found) == min(SHORTLIST_MAX, len(members))
            best = np.sort(exact[members])[::-1][:SHORTLIST_MAX]
            np.testing.assert_allclose(exact[found], best, rtol=1e-5, atol=1e-6)

    def _kernel(self, bitmaps: list[np.ndarray]) -> Search:
        """Return our own dot product, over the members of a bitmap."""
        ids, products = np.empty(SHORTLIST_MAX, np.int32), np.empty(SHORTLIST_MAX, np.float32)

        def search(i: int) -> np.ndarray:
            return ids[: largest_products(self.vectors, self.taste, bitmaps[i], ids, products)]

        return search

    def _best_rows(self, vectors: np.ndarray) -> np.ndarray:
        """Return the rows of the largest products."""
        products = vectors @ self.taste
        rows = np.argpartition(products, -min(SHORTLIST_MAX, len(products)))[-SHORTLIST_MAX:]
        return rows[np.argsort(-products[rows])]

    def _with_faiss(self) -> dict[str, dict[str, Search]]:
        """Return faiss's arms, on one thread: a decision has one core."""
        faiss.omp_set_num_threads(1)
        index = faiss.IndexFlatIP(DIM)
        index.add(self.vectors)
        query = self.taste[np.newaxis]
        products = np.empty((1, SHORTLIST_MAX), np.float32)
        ids = np.empty((1, SHORTLIST_MAX), np.int64)

        def search_among(selectors: list) -> Search:
            parameters = [faiss.SearchParameters(sel=selector) for selector in selectors]

            def search(i: int) -> np.ndarray:
                index.search(query, SHORTLIST_MAX, params=parameters[i], D=products, I=ids)
                return ids[0, ids[0] >= 0]

            return search

        bitmaps = [bitmap.view(np.uint8) for bitmap in self.bitmaps]
        return {
            "all": {"faiss": search_among([None] * REQUESTS)},
            "eligible": {
                "faiss": search_among([faiss.IDSelectorBitmap(bitmap) for bitmap in bitmaps]),
                "faiss, ids": search_among([faiss.IDSelectorArray(ids) for ids in self.eligible]),
            },
        }
