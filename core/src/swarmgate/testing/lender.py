"""What every lender must do, as tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from swarmgate.api import Lender, Loan
from swarmgate.testing.streams import answers

#: How long a lender may take to start or stop, in seconds.
PATIENCE = 45.0


class LenderContract:
    """Runs a lender through its contract."""

    def make(self) -> AbstractAsyncContextManager[Lender]:
        """Return an open lender."""
        raise NotImplementedError

    @pytest.mark.anyio
    async def test_meets_the_protocol(self) -> None:
        """It has the method a lender needs."""
        async with self.make() as lender:
            assert isinstance(lender, Lender)

    @pytest.mark.anyio
    async def test_listens_while_it_lends(self) -> None:
        """What is lent accepts connections by the time the loan is there."""
        with anyio.fail_after(PATIENCE):
            async with self.make() as lender, lender.lend() as loan:
                assert isinstance(loan, Loan)
                assert await answers(loan.endpoint)

    @pytest.mark.anyio
    async def test_labels_are_plain_facts(self) -> None:
        """Labels are texts, and memory is a positive number of bytes where it is said."""
        with anyio.fail_after(PATIENCE):
            async with self.make() as lender, lender.lend() as loan:
                assert all(isinstance(fact, str) for pair in loan.labels.items() for fact in pair)
                assert int(loan.labels.get("memory_bytes", "1")) > 0

    @pytest.mark.anyio
    async def test_leaving_closes_and_it_can_lend_again(self) -> None:
        """After the loan nothing listens there, and the next loan works."""
        with anyio.fail_after(2 * PATIENCE):
            async with self.make() as lender:
                for _ in range(2):
                    async with lender.lend() as loan:
                        assert await answers(loan.endpoint)
                    while await answers(loan.endpoint):  # noqa: ASYNC110 -- nothing to wait on
                        await anyio.sleep(0.01)
