"""Class lists as they really come: every person in them, every bad row by its line, and ids that stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.cohorts.ids import learner_of, transliterated
from labctl.cohorts.roster import Roster, parse, read
from labctl.errors import LabFileError, NotFoundError
from labctl.names import MAX_LEARNER_CHARS, learner_id

LIST = "Name,Email,ID\nJörg Müller,joerg@uni.de,S-07\n李雷,lilei@uni.cn,1002\n"


def people(roster: Roster) -> list[tuple[str, str, str]]:
    return [(person.name, person.email, person.number) for person in roster.people]


def said(roster: Roster) -> list[tuple[int, str, bool]]:
    return [(problem.line, problem.what, problem.kept) for problem in roster.problems]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_list_is_the_same_list_however_it_was_saved(encoding: str, delimiter: str, end: str) -> None:
    text = LIST.replace("Jörg Müller", "韩梅梅") if encoding == "gb18030" else LIST  # it has no two bytes for ö
    roster = parse(text.replace(",", delimiter).replace("\n", end).encode(encoding))
    assert [person.id for person in roster.people] == ["s-07", "1002"]
    assert roster.people[1].name == "李雷"
    assert roster.problems == ()
    assert bool(roster.notes) == (encoding in ("gb18030", "utf-16-le", "utf-16-be"))


@pytest.mark.parametrize(
    ("data", "name", "note"),
    [
        ("Name,Email\nZoë Groß,zoe@uni.de\n".encode("cp1252"), "Zoë Groß", "read as Windows-1252"),
        (b"Name,Email\nA\x81B,zoe@uni.de\n", "AB", "read as Windows-1252"),
        ("Name,Email\n王伟,zoe@uni.de\n李娜,b@uni.de\n".encode("gbk"), "王伟", "read as GB18030"),
        ("Name,Email\nZoë,a@uni.de\n".encode() + "Jörg,b@uni.de\n".encode("cp1252"), "Zoë", "except line 3"),
    ],
)
def test_another_encoding_is_said_aloud(data: bytes, name: str, note: str) -> None:
    roster = parse(data)
    assert roster.people[0].name == name
    assert note in roster.notes[0]


@pytest.mark.parametrize(
    ("text", "platform", "found"),
    [
        (
            '"First name",Surname,"ID number",Institution,"Email address"\nAda,Lovelace,1001,UoL,ada@x.org\n',
            "moodle",
            ("Ada Lovelace", "ada@x.org", "1001"),
        ),
        (
            'Student,ID,SIS User ID,SIS Login ID,Section,Quiz (9)\n    Points Possible,,,,,10\n"Lovelace, Ada",11,s1,ada@x.org,A,9\n"Student, Test",13,,t,A,\n',
            "canvas",
            ("Ada Lovelace", "ada@x.org", "s1"),
        ),
        (
            '"Last Name","First Name","Username","Student ID","Last Access"\n"Lovelace","Ada","al7","1001","2026-01-01"\n',
            "blackboard",
            ("Ada Lovelace", "", "1001"),
        ),
        ("OrgDefinedId,Username,Email\n#1001,al7,ada@x.org\n", "brightspace", ("ada", "ada@x.org", "#1001")),
        (
            "Vorname;Name;E-Mail-Adresse;Matrikel-Nr.\nAda;Lovelace;ada@x.org;00123\n",
            "",
            ("Ada Lovelace", "ada@x.org", "00123"),
        ),
        ("姓名\t邮箱\t学号\n李雷\tll@x.cn\t2024001\n", "", ("李雷", "ll@x.cn", "2024001")),
        ("姓,名,学号\n李,雷,2024001\n", "", ("李雷", "", "2024001")),
        ("Nom;Prénom;Courriel\nCurie;Marie;mc@x.fr\n", "", ("Marie Curie", "mc@x.fr", "")),
        ("Full name / 姓名,E-mail (university)\nAda,ada@x.org\n", "", ("Ada", "ada@x.org", "")),
        ("Course: LLM 101\n\n# a remark\nName,ID\nAda,7\n", "", ("Ada", "", "7")),
        ("sep=;\nName;ID\nAda;7\n", "", ("Ada", "", "7")),
        ("Nr.,Name,Email\n1,Ada,ada@x.org\n", "", ("Ada", "ada@x.org", "")),
        ("Ada Lovelace,ada@x.org\n", "", ("Ada Lovelace", "ada@x.org", "")),
        ("Ada,Lovelace,ada@x.org\nBob,Ross,bob@x.org\n", "", ("Ada Lovelace", "ada@x.org", "")),
        ("1;Ada Lovelace;s1;Student\n2;Bob Ross;s2;Student\n", "", ("Ada Lovelace", "", "s1")),
        ("ada@x.org\nbob@x.org\n", "", ("ada", "ada@x.org", "")),
        ("Ada Lovelace <ada@x.org>\nBob <bob@x.org>\n", "", ("Ada Lovelace", "ada@x.org", "")),
        ('Name,ID\n"Ada\nLovelace",="007"\n', "", ("Ada Lovelace", "", "007")),
        ("Name,Email,ID\nAda,mailto:ada@x.org,12.0\n", "", ("Ada", "ada@x.org", "12")),
        ("Name,Email,ID\nAda,n/a,-\n", "", ("Ada", "", "")),
    ],
)
def test_lists_of_platforms_and_people_are_understood(text: str, platform: str, found: tuple[str, str, str]) -> None:
    roster = parse(text.encode())
    assert people(roster)[0] == found
    assert roster.platform == platform
    assert roster.problems == ()


def test_every_column_is_kept_for_giving_grades_back() -> None:
    text = 'Student,ID,SIS User ID,SIS Login ID,Section\n"Lovelace, Ada",11,s1,ada7,A\n'
    roster = parse(text.encode())
    assert roster.columns == ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
    assert dict(roster.people[0].columns) == {
        "Student": "Lovelace, Ada",
        "ID": "11",
        "SIS User ID": "s1",
        "SIS Login ID": "ada7",
        "Section": "A",
    }
    assert parse(b"Name,Name,\nA,B,C\n").columns == ("Name", "Name (2)", "column 3")


@pytest.mark.parametrize(
    ("row", "what", "kept"),
    [
        ("=cmd|' /C calc'!A0,x@x.org,9", "Name holds a formula, \"=cmd|' /C calc'!A0\"; it is kept as text", True),
        ("@SUM(A1),x@x.org,9", "Name holds a formula", True),
        ("+1+2+cmd,x@x.org,9", "Name holds a formula", True),
        ("Cy\0Young,x@x.org,9", "Name holds NUL or other control characters", True),
        ("Cy,not an address,9", "'not an address' is no email address; left out", True),
        ("Cy,x@x.org,1", "the same ID as line 2 (1)", False),
        ("Cy,ADA@x.org,9", "the same email address as line 2 (ADA@x.org)", False),
        (",,", None, False),
        (",n/a,-", "neither a name, an email address nor an ID", False),
        ("Cy,x@x.org,1.23E+11", "a spreadsheet has shortened the ID to '1.23E+11'", False),
        ("Young, Cy,x@x.org,9", "4 cells under 3 headings; put cells with commas in quotes", False),
        ('"Cy,x@x.org,9', "a quote is not closed", False),
        ('"Cy" Young,x@x.org,9', "a quote is not closed, or not doubled", False),
        ("C" * 201 + ",x@x.org,9", "the name has 201 characters; at most 200", False),
        ("Cy,x@x.org," + "9" * 101, "the ID has 101 characters; at most 100", False),
        ("C" * 200_000 + ",x@x.org,9", "the line has 200010 characters", False),
    ],
)
def test_a_bad_row_is_named_by_its_line_and_the_others_stay(row: str, what: str | None, kept: bool) -> None:
    roster = parse(f"Name,Email,ID\nAda,ada@x.org,1\n\n{row}\nBob,bob@x.org,2\n".encode())
    ids = [person.id for person in roster.people]
    assert ids == (["1", "9", "2"] if kept else ["1", "2"])
    assert roster.people[-1].line == 5
    if what is None:
        assert roster.problems == ()
        return
    assert [(problem.line, problem.kept) for problem in roster.problems] == [(4, kept)]
    assert what in roster.problems[0].what


def test_phone_numbers_and_dashes_are_no_formulas() -> None:
    assert said(parse(b"Name,ID,Phone,Note\nAda,1,+49 30 (12)-3,-\n")) == []


def test_two_people_of_one_name_need_an_id_and_are_told_so() -> None:
    roster = parse(b"Name\nLi Wei\nBob\nLi  wei\n")
    assert [person.name for person in roster.people] == ["Li Wei", "Bob"]
    assert said(roster) == [(4, "the same labctl id as line 2 (Li wei); give both an ID or an email address", False)]


def test_somebody_is_found_by_id_number_address_or_name() -> None:
    roster = parse(b"Name,Email,ID\nAda Lovelace,ada@x.org,S-1\nLi Wei,a@x.org,2\nLi Wei,b@x.org,3\n")
    for who in ("s-1", "S-1", "ADA@x.org", "ada  lovelace"):
        assert roster.find(who).id == "s-1"
    with pytest.raises(NotFoundError, match="nobody on the list is called 'eve'"):
        roster.find("eve")
    with pytest.raises(NotFoundError) as caught:
        roster.find("Li Wei")
    assert caught.value.hint == "say which, by id: 2, 3"
    with pytest.raises(NotFoundError):
        roster.find("")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "nobody is in it"),
        (b"\xff\xfe", "nobody is in it"),
        (b"Name,Email\n", "nobody is in it"),
        (b'Name,ID\n"x\n', "roster.csv:2: a quote is not closed"),
        (b"PK\x03\x04rest", "is a workbook (or another zip), not CSV"),
        (b"%PDF-1.7", "is a PDF, not CSV"),
        (b"x" * (4 * 2**20 + 1), "larger than 4 MiB"),
    ],
)
def test_a_file_that_is_no_list_is_an_error_of_the_file(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "roster.csv").write_bytes(data)
    with pytest.raises(LabFileError, match=re.escape(what)) as caught:
        read(tmp_path / "roster.csv")
    assert caught.value.exit_code == 7
    assert caught.value.hint


def test_a_folder_or_nothing_at_all_is_an_error_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(LabFileError, match="is no file"):
        read(tmp_path)
    with pytest.raises(LabFileError, match="No such file"):
        read(tmp_path / "none.csv")


def test_what_latin_letters_can_say_is_kept_in_ids() -> None:
    assert transliterated("Đặng Thị Łucja Ñíguez Ørsted Þór Straße") == "dang thi lucja niguez orsted thor strasse"
    assert transliterated("Ёлка Щукина Ελένη サクラ 김") == "elka shchukina eleni sakura gim"


@pytest.mark.parametrize(
    ("given_", "id"),
    [
        ({"number": "1001", "email": "ada@x.org", "name": "Ada"}, "1001"),
        ({"number": "S1001"}, "s1001"),
        ({"number": "ABC-12"}, "abc-12"),
        ({"number": "12/3"}, r"12-3-[0-9a-f]{4}"),
        ({"number": "a--b"}, r"a-b-[0-9a-f]{4}"),
        ({"number": "x" * 21}, r"x{11}-[0-9a-f]{8}"),
        ({"email": "ada.lovelace@x.org"}, r"ada-lovelace-[0-9a-f]{4}"),
        ({"name": "李雷"}, r"u-[0-9a-f]{8}"),
        ({"name": "李雷 Lei"}, r"lei-[0-9a-f]{8}"),
        ({"name": "Jörg Müller"}, r"jorg-muller-[0-9a-f]{4}"),
    ],
)
def test_an_id_says_who_it_is_as_far_as_letters_go(given_: dict[str, str], id: str) -> None:
    assert re.fullmatch(id, learner_of(**given_))


def test_what_people_hold_to_be_equal_has_one_id_and_what_they_do_not_has_two() -> None:
    assert learner_of(email="Ada@X.org") == learner_of(email="ada@x.org")
    assert learner_of(name="Ada  LOVELACE") == learner_of(name="ada lovelace")
    assert learner_of(email="ada@x.org") != learner_of(email="ada@y.org")
    assert learner_of(number="1/2") != learner_of(number="1-2")
    assert learner_of(name="李雷") != learner_of(name="李磊")
    with pytest.raises(ValueError, match="an ID, an email address or a name"):
        learner_of(name=" ")


TEXT = st.text(min_size=1, max_size=60).filter(lambda text: text.strip() != "")


@given(number=TEXT | st.just(""), email=TEXT | st.just(""), name=TEXT)
def test_every_id_is_one_that_labctl_accepts(number: str, email: str, name: str) -> None:
    id = learner_of(number=number.strip(), email=email.strip(), name=name)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", id)
    assert "--" not in id
    assert len(id) <= MAX_LEARNER_CHARS
    assert learner_id(id) == id


NAMES = st.sampled_from(["Ada Lovelace", "Ada", "李雷", "韩梅梅", "Zoë Groß", "김민준", "O'Brien", "Ёлка", "Smith, Jo"])
PERSON = st.tuples(NAMES, st.integers(0, 30), st.sampled_from(["x.org", "y.org"]), st.booleans())


def listed(rows: list[tuple[str, int, str, bool]]) -> bytes:
    lines = [f'"{name}",p{number}@{host},{number if has_id else ""}' for name, number, host, has_id in rows]
    return "\n".join(["Name,Email,ID", *lines]).encode()


@settings(max_examples=200)
@given(rows=st.lists(PERSON, min_size=1, max_size=12, unique_by=lambda row: row[1]), data=st.data())
def test_nobody_gets_another_id_when_rows_move_come_or_go(
    rows: list[tuple[str, int, str, bool]], data: st.DataObject
) -> None:
    before = {person.email: person.id for person in parse(listed(rows)).people}
    assert len(set(before.values())) == len(rows)
    others = data.draw(st.permutations(rows).map(lambda moved: moved[: data.draw(st.integers(1, len(rows)))]))
    added = [("Eve", 99, "x.org", False)]
    after = {person.email: person.id for person in parse(listed([*added, *others])).people}
    assert all(before[email] == id for email, id in after.items() if email in before)
    assert len(after) == len(others) + 1


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.text(alphabet='",;\n\r\t= ab@李ö|\0', max_size=200).map(str.encode))
def test_any_bytes_are_read_and_every_row_is_a_person_a_problem_or_blank(data: bytes) -> None:
    roster = parse(data)
    ids = [person.id for person in roster.people]
    assert len(set(ids)) == len(ids)
    assert not {person.line for person in roster.people} & {each.line for each in roster.problems if not each.kept}
