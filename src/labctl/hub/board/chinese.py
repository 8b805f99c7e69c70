"""The board in Chinese."""

from __future__ import annotations

CHINESE: dict[str, str] = {
    "Skip to the content": "跳到正文",
    "Pages": "页面",
    "Class": "班级",
    "Log": "日志",
    "Language": "语言",
    "Log out": "退出",
}
