"""Compressed rows are those that were added, less those that were dropped."""

from hypothesis import given
from hypothesis import strategies as st

from topside_agent.measuring.number_rows import NumberRows

numbers = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 1000)


@given(st.lists(st.tuples(numbers, numbers, numbers), max_size=5), st.integers(0, 350), st.data())
def test_rows_are_given_back_as_they_were_added(distinct, count, data):
    rows, plain = NumberRows(3, age=1, key=2, before={2: 1}), []
    for number in range(count if distinct else 0):
        row = list(distinct[number % len(distinct)])
        rows.add(row)
        plain.append(row)
        if number % 7 == 3:
            assert rows.oldest == plain[0][1]
            rows.drop_oldest()
            del plain[0]
    for _ in range(data.draw(st.integers(0, len(plain)))):
        rows.drop_oldest()
        del plain[0]
    assert len(rows) == len(plain)
    place = data.draw(st.integers(0, len(plain)))
    assert [list(row) for row in rows.since(place)] == plain[place:]
    least, greatest = sorted((data.draw(numbers), data.draw(numbers)))
    wanted = [row for row in plain if least <= row[2] <= greatest]
    assert [list(row) for row in rows.between(least, greatest)] == wanted


def test_all_rows_may_be_dropped_and_others_added():
    rows = NumberRows(2, age=0, key=0, before={})
    for begin in (0, 1000):
        for number in range(130):
            rows.add((begin + number, 7))
        while len(rows):
            rows.drop_oldest()
        assert list(rows.since(0)) == []
    rows.add((5, 6))
    assert (rows.oldest, [list(row) for row in rows.between(0, 9)]) == (5, [[5, 6]])
