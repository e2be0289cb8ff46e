"""Logs and targets from files: what they say, and exactly where they are wrong."""

import gzip
import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from adserver.domain.errors import InvalidInput
from adserver.learn.logged import ColumnNames, read_log, read_target, unnamed_rows, weigh

NAMES = ColumnNames()
GOOD = "action,reward,propensity\na,1,0.5\nb,0,0.5\na,0,0.5\n"
HALVES = "action,probability\na,0.5\nb,0.5\n"


@pytest.fixture
def log(tmp_path):
    return write(tmp_path / "log.csv")


def write(path):
    """Return a function that writes the file and returns its path."""

    def written(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return written


def same(one, other):
    return (one.actions, one.action.tolist(), one.reward.tolist(), one.propensity.tolist()) == (
        other.actions,
        other.action.tolist(),
        other.reward.tolist(),
        other.propensity.tolist(),
    )


def test_reads_rows_in_order(log):
    found = read_log(log("x,viewer,propensity,reward,action\n,u,0.5,1,b\n,v,1,-2.5e-1,a\n"), NAMES)
    assert found.actions == ("b", "a")
    assert found.action.tolist() == [0, 1]
    assert found.reward.tolist() == [1.0, -0.25]
    assert found.propensity.tolist() == [0.5, 1.0]
    assert found.cluster is None


def test_columns_may_be_called_otherwise_and_clusters_are_numbered(log):
    text = "item,click,p,viewer\n1,0,1,u\n1,1,1,v\n2,0,1,u\n"
    found = read_log(log(text), ColumnNames("item", "click", "p", "viewer"))
    assert found.actions == ("1", "2")
    assert found.cluster.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.strip().encode(),
        (GOOD + "\n\n").encode(),
        GOOD.replace("a,1", '"a","1"').encode(),
        gzip.compress(GOOD.encode(), mtime=0),
        gzip.compress(GOOD.encode("utf-8-sig"), mtime=0),
    ],
    ids=["mark", "CRLF", "no last newline", "blank lines", "quotes", "gzip", "gzip, mark"],
)
def test_every_way_to_write_csv_is_read_alike(tmp_path, content):
    plain = read_log(write(tmp_path / "a.csv")(GOOD), NAMES)
    assert same(read_log(write(tmp_path / "b.csv")(content), NAMES), plain)


def test_one_column_may_be_asked_for_twice(log):
    found = read_log(log("a,p\n1,0.5\n0,0.5\n"), ColumnNames("a", "a", "p", "a"))
    assert found.action.tolist() == found.cluster.tolist() == [0, 1]
    assert found.reward.tolist() == [1.0, 0.0]


def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    for content, rows in ((GOOD.encode(), 3), (gzip.compress(GOOD.encode(), mtime=0), 3)):
        os.mkfifo(pipe)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(pipe.write_bytes, content)
            assert len(read_log(pipe, NAMES).action) == rows
        pipe.unlink()


def test_what_came_through_a_pipe_has_rows_and_no_lines(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(pipe.write_text, GOOD + "a,x,1\n")
        assert fault(read_log, pipe, NAMES)[1].startswith("row 4, column 'reward'")


def test_names_may_hold_commas_quotes_and_line_ends(log):
    found = read_log(log('action,reward,propensity\n"a, ""b""\nc",1,1\n'), NAMES)
    assert found.actions == ('a, "b"\nc',)


def fault(read, *arguments):
    with pytest.raises(InvalidInput) as error:
        read(*arguments)
    (problem,) = error.value.problems
    return error.value.what, str(problem)


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("", "the file", "is empty"),
        ("action,reward,propensity\n", "the file", "no rows"),
        ("action,reward\na,1\n", "header", "no column 'propensity'; it has 'action', 'reward'"),
        ("action;reward;propensity\na;1;1\n", "header", "parted by commas"),
        ("action,reward,propensity,reward\na,1,1,2\n", "header", "more than one column 'reward'"),
        ("action,reward,propensity\na,1,1\na,1\n", "row 2 (line 3)", "2 values, the header 3"),
        ("action,reward,propensity\na,1,1,1\n", "row 1 (line 2)", "4 values, the header 3"),
        (GOOD + "a,,1\n", "row 4 (line 5), column 'reward'", "found nothing"),
        (GOOD + "a,x,1\n", "row 4 (line 5), column 'reward'", "found 'x'"),
        (GOOD + "a,nan,1\n", "row 4 (line 5), column 'reward'", "found 'nan'"),
        (GOOD + "a,inf,1\n", "row 4 (line 5), column 'reward'", "found 'inf'"),
        (GOOD + "a,1_0,1\n", "row 4 (line 5), column 'reward'", "found '1_0'"),
        (GOOD + 'a,"0,5",1\n', "row 4 (line 5), column 'reward'", "decimal point, found '0,5'"),
        (GOOD + "a,1,0\n", "row 4 (line 5), column 'propensity'", "above 0 and at most 1"),
        (GOOD + "a,1,-0.5\n", "row 4 (line 5), column 'propensity'", "found '-0.5'"),
        (GOOD + "a,1,1.01\n", "row 4 (line 5), column 'propensity'", "found '1.01'"),
        (GOOD + "a,1,nan\n", "row 4 (line 5), column 'propensity'", "found 'nan'"),
        (GOOD + "a,1,\n", "row 4 (line 5), column 'propensity'", "found nothing"),
        (GOOD + ",1,1\n", "row 4 (line 5), column 'action'", "found nothing"),
        (GOOD + '"a\nb",x,1\n', "row 4 (line 6), column 'reward'", "found 'x'"),
        (GOOD + "\n\na,x,1\n", "row 4 (line 7), column 'reward'", "found 'x'"),
        (GOOD + '"a,1,1\n', "line 5", "unexpected end"),
        (GOOD + f"a,{'9' * 60}x,1\n", "row 4 (line 5), column 'reward'", f"'{'9' * 40}'..."),
        (GOOD.encode() + b"caf\xe9,1,1\n", "row 4 (line 5), column 'action'", "0xe9 is not UTF-8"),
        (GOOD.encode() + b"a,\xff,1\n", "row 4 (line 5), column 'reward'", "0xff is not UTF-8"),
        (GOOD.encode("utf-16"), "header", "is not UTF-8"),
        (gzip.compress(GOOD.encode() * 99, mtime=0)[:-20], "after line", "cut off"),
        (gzip.compress(b"", mtime=0)[:4], "after line", "cut off"),
    ],
)
def test_faults_name_the_file_the_row_and_the_column(log, content, where, what):
    path = log(content)
    file, problem = fault(read_log, path, NAMES)
    assert file == str(path)
    assert problem.startswith(where)
    assert what in problem


def test_damaged_gzip_is_told(log):
    whole = bytearray(gzip.compress(GOOD.encode() * 99, mtime=0))
    whole[30] ^= 0xFF
    _, problem = fault(read_log, log(bytes(whole)), NAMES)
    assert "gzip data is damaged" in problem


def test_a_name_that_promises_gzip_is_held_to_it(tmp_path):
    _, problem = fault(read_log, write(tmp_path / "log.csv.gz")(GOOD), NAMES)
    assert "is named .gz and is not gzip" in problem


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path):
        file, problem = fault(read_log, path, NAMES)
        assert file == str(path)
        assert "cannot be read" in problem


def test_a_fault_far_down_is_found(log):
    rows = 70_000
    text = "action,reward,propensity\n" + "a,1,1\n" * rows + "a,1,2\n"
    _, problem = fault(read_log, log(text), NAMES)
    assert problem.startswith(f"row {rows + 1} (line {rows + 2}), column 'propensity'")


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("action,probability\na,0.5\nb,0.4\n", "column 'probability'", "sum to 0.9, not to 1"),
        ("action,probability\na,1\na,0\n", "row 2 (line 3), column 'action'", "every action once"),
        ("action,probability\na,-0.5\nb,1.5\n", "row 1 (line 2), column 'probability'", "-0.5"),
        ("action,probability\na,nan\n", "row 1 (line 2), column 'probability'", "found 'nan'"),
        ("action,probability\n,1\n", "row 1 (line 2), column 'action'", "found nothing"),
        ("action,p\na,1\n", "header", "no column 'probability'"),
        ("thing,probability\na,1\n", "header", "no column 'action' or 'item_id'"),
        ("action,probability\n", "the file", "no rows"),
        ("", "the file", "is empty"),
    ],
)
def test_wrong_targets_are_refused(log, content, where, what):
    _, problem = fault(read_target, log(content), "item_id")
    assert problem.startswith(where)
    assert what in problem


def test_a_target_may_call_its_actions_as_the_log_does(log):
    assert read_target(log("item_id,probability\n1,1\n"), "item_id") == {"1": 1.0}
    assert read_target(log("item_id,action,probability\n1,2,1\n"), "item_id") == {"2": 1.0}


def test_printed_probabilities_may_be_off_in_the_seventh_digit(log):
    thirds = "action,probability\na,0.3333333\nb,0.3333333\nc,0.3333333\n"
    assert sum(read_target(log(thirds)).values()) == pytest.approx(1.0, abs=1e-6)


def test_weights_and_predictions_by_hand(tmp_path):
    logged = read_log(write(tmp_path / "log.csv")(GOOD), NAMES)
    found = weigh(logged, {"a": 0.25, "c": 0.75})
    assert found.weight.tolist() == [0.5, 0.0, 0.5]
    mean = 1 / 3
    of_a, of_b = (1 + 100 * mean) / 102, (0 + 100 * mean) / 101
    assert found.qa.tolist() == pytest.approx([of_a, of_b, of_a])
    assert found.qbar.tolist() == pytest.approx([0.25 * of_a + 0.75 * mean] * 3)
    assert unnamed_rows(logged, {"a": 0.25, "c": 0.75}) == 1


def test_the_order_of_rows_and_of_the_target_changes_nothing(log):
    text = GOOD.splitlines()
    target = read_target(log(HALVES))
    one = weigh(read_log(log("\n".join(text)), NAMES), target)
    back = weigh(
        read_log(log("\n".join([text[0], *text[:0:-1]])), NAMES), dict(reversed(target.items()))
    )
    assert back.weight[::-1].tolist() == one.weight.tolist()
    assert back.qa[::-1].tolist() == pytest.approx(one.qa.tolist())


def test_what_overflows_is_not_hidden(log):
    logged = read_log(log("action,reward,propensity\na,1e308,1e-320\na,1e308,1\n"), NAMES)
    found = weigh(logged, {"a": 1.0})
    assert math.isinf(found.weight[0])
    assert not np.isfinite(found.qbar).all()
