"""The process table: who is who, who started whom, and which program ran when."""

from catfs.forensics import ProcessTable
from tests.support.log_maker import LogMaker


def _table(log: LogMaker) -> ProcessTable:
    table = ProcessTable()
    for record in log.records:
        table.note(record)
    return table


def test_processes_know_their_parents_and_children() -> None:
    """A record whose parent is described before it hangs below that; others have no known parent."""
    log = LogMaker()
    log.process(10, argv="make all")
    log.process(11, parent=10)
    log.process(12, parent=11, argv="as")
    table = _table(log)
    make, cc, assembler = table.processes
    assert (make.parent, cc.parent, assembler.parent) == (None, make.number, cc.number)
    assert table.children(make.number) == [cc]
    assert table.children(None) == [make]
    assert list(table.ancestors(assembler)) == [cc, make]
    assert table.descendants([cc.number]) == {cc.number, assembler.number}


def test_an_id_that_is_given_again_is_another_process() -> None:
    """The start time tells them apart; changes belong to the one described last."""
    log = LogMaker()
    log.process(10, start=100, argv="cc a.c")
    first = log.create("a.o", 10)
    log.process(10, start=900, argv="rm a.o")
    log.add("unlink", "a.o", first, 10)
    table = ProcessTable()
    noted = [table.note(record) for record in log.records]
    assert [process.number for process in noted if process] == [0, 0, 1, 1]
    assert len(table.with_pid(10)) == 2


def test_another_program_in_the_same_process_is_no_new_process() -> None:
    """After exec the process has two programs, and each record belongs to the one of its time."""
    log = LogMaker()
    log.process(10, argv="sh -c cc")
    before = log.create("a", 10)
    log.process(10, argv="cc -c")
    log.write("a", before, 0, 1, 10)
    table = _table(log)
    (process,) = table.processes
    assert [program.argv[0] for program in process.programs] == [b"sh", b"cc"]
    assert process.program_at(1).argv[0] == b"sh"
    assert process.program_at(3).argv[0] == b"cc"
    assert process.last.argv[0] == b"cc"


def test_threads_belong_to_their_process() -> None:
    """A record of another thread of the same program adds neither process nor program."""
    log = LogMaker()
    log.process(10, argv="ld")
    log.process(10, argv="ld", thread=14)
    table = _table(log)
    (process,) = table.processes
    assert len(process.programs) == 1
    assert table.of_thread(14) == process


def test_a_process_that_was_gone_before_anyone_looked_is_one_of_its_own() -> None:
    """Without a start time nothing says that two records mean the same process."""
    log = LogMaker()
    log.process(0, parent=0, start=0, thread=10, argv="", exe="")
    log.process(10, start=7)
    table = _table(log)
    gone, known = table.processes
    assert (gone.pid, gone.start, gone.parent) == (10, 0, None)
    assert table.of_thread(10) == known


def test_a_parent_that_is_younger_than_its_child_is_not_believed() -> None:
    """Then the id of the parent was given away since, and the parent is unknown."""
    log = LogMaker()
    log.process(10, start=500, argv="other")
    log.process(11, parent=10, start=200)
    assert _table(log).processes[1].parent is None


def test_the_chain_names_what_each_ancestor_ran_when_it_started_its_child() -> None:
    """A shell that became another program later is still the one that started the compiler."""
    log = LogMaker()
    log.process(10, argv="make all")
    log.process(11, parent=10, argv="sh -c cc")
    log.process(12, parent=11, argv="cc -c")
    change = log.write("a.o", 5, 0, 1, 12)
    log.process(11, parent=10, argv="true")
    table = _table(log)
    chain = table.chain(table.processes[2], change)
    assert [program.argv[0] for program in chain] == [b"cc", b"sh", b"make"]


def test_a_change_of_the_kernel_belongs_to_nobody() -> None:
    """No process has the id 0."""
    log = LogMaker()
    log.process(10)
    log.write("a", 5, 0, 1)
    table = ProcessTable()
    assert [table.note(record) is None for record in log.records] == [False, True]
