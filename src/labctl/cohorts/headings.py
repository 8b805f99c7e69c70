"""What the columns of class lists are called, in the languages and platforms they come from. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from typing import Literal

Role = Literal["number", "email", "name", "first", "last"]
Platform = Literal["canvas", "moodle", "blackboard", "brightspace", ""]
"""The learning platform that a list was exported from; empty where that cannot be told."""

_WORDS: dict[Role, str] = {
    "number": """
        sisuserid studentid studentnumber studentno studentnr idnumber orgdefinedid matriculationnumber matriculationno
        matrikelnummer matrikelnr matrnr mtknr idnummer studierendennummer personalnummer numeroetudiant numetudiant
        matricule matricula matrícula 学号 學號 学生编号 学生学号 考号 工号 编号 編號
        externalid personid learnerid learner userid sisid id kennung kürzel
        username sisloginid loginid login benutzername anmeldename nutzername identifiant usuario 用户名 用戶名 账号 帐号 登录名
    """,
    "email": """
        email emailaddress mail mailaddress emailadresse mailadresse emails primaryemail universityemail studentemail
        useremail courriel adresseemail correo correoelectronico correoelectrónico
        邮箱 郵箱 电子邮箱 电子邮件 电子邮件地址 邮箱地址 邮件地址 邮件 email地址 电邮 電郵
    """,
    "name": """
        name fullname studentname student students displayname firstnamelastname lastnamefirstname participant learnername
        vollständigername vollername studierende studierender teilnehmer teilnehmerin namevorname vornamename vornamenachname
        nachnamevorname nomcomplet nometprenom nombrecompleto nombre 姓名 名字 学生姓名 學生姓名 全名 中文名 学生
    """,
    "first": "firstname givenname givennames forename firstnames vorname vornamen rufname prenom prénom nombres 名",
    "last": """
        lastname surname familyname lastnames nachname familienname zuname nomdefamille nom apellido apellidos
        姓 姓氏
    """,
}
_ROLES: dict[str, tuple[Role, int]] = {
    word: (role, rank) for role, words in _WORDS.items() for rank, word in enumerate(words.split())
}
_MARKS: tuple[tuple[Platform, tuple[frozenset[str], ...]], ...] = (
    ("brightspace", (frozenset({"orgdefinedid"}),)),
    ("canvas", (frozenset({"student", "sisuserid"}), frozenset({"student", "sisloginid"}))),
    (
        "blackboard",
        (
            frozenset({"lastname", "firstname", "username", "lastaccess"}),
            frozenset({"lastname", "firstname", "username", "studentid"}),
        ),
    ),
    (
        "moodle",
        tuple(
            frozenset({first, last, email})
            for first, last, email in (
                ("firstname", "lastname", "emailaddress"),
                ("firstname", "surname", "emailaddress"),
                ("firstname", "lastname", "idnumber"),
                ("firstname", "surname", "idnumber"),
                ("vorname", "nachname", "emailadresse"),
                ("名", "姓", "电子邮件地址"),
            )
        ),
    ),
)
_PARENTHESIS = re.compile(r"[(\[（【<].*")


def roles(cells: Sequence[str]) -> dict[int, tuple[Role, int]]:
    """For each column that is understood what it holds, and a rank: of two that hold the same, the lower is to be preferred.

    >>> {column: role for column, (role, _) in roles(["Vorname", "Name", "E-Mail-Adresse", "Gruppe"]).items()}
    {0: 'first', 1: 'last', 2: 'email'}
    """
    found = {column: role for column, cell in enumerate(cells) if (role := _role(cell))}
    held = {role for role, _ in found.values()}
    if "first" in held and "last" not in held:  # beside a first name, "Name" means the family's
        found = {column: ("last", rank) if role == "name" else (role, rank) for column, (role, rank) in found.items()}
    return found


def platform(cells: Sequence[str]) -> Platform:
    """Where a list with these headings was exported from."""
    words = {_word(cell) for cell in cells}
    return next((name for name, marks in _MARKS if _bears(words, marks)), "")


def _bears(words: set[str], marks: Collection[frozenset[str]]) -> bool:
    return any(mark <= words for mark in marks)


def _role(cell: str) -> tuple[Role, int] | None:
    whole = _ROLES.get(_word(cell))
    if whole or not any(mark in cell for mark in "/|"):
        return whole
    parts = [_ROLES.get(_word(part)) for part in re.split(r"[/|]", cell)]
    return next((part for part in parts if part), None)


def _word(cell: str) -> str:
    text = unicodedata.normalize("NFKC", cell).casefold()
    return "".join(char for char in _PARENTHESIS.sub("", text) if char.isalnum())
