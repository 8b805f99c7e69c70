"""The chatbot: a web API and a web page over the same model. `labctl` runs it as `uvicorn app:app --reload`.

POST   /chat {"conversation": "some id", "message": "text"}  →  {"reply": "text", "tokens": 57, "messages": 5}
DELETE /chat/{conversation}                                  →  {"messages": 0}
GET    /health                                               →  {"model": true}
GET    /ui/                                                  →  the page, made by Gradio
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import gradio as gr
import memory
from companion import Companion
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field

app = FastAPI(title="Companion")
companion = Companion()
conversations = memory.Conversations()
said_there: deque[memory.Message] = deque(maxlen=6)


class Said(BaseModel):
    """What somebody says in a conversation."""

    conversation: str = Field(min_length=1, max_length=200)
    message: str


@app.get("/health")
def health() -> dict[str, bool]:
    """Whether the model is loaded."""
    return {"model": True}


@app.post("/chat")
def chat(said: Said) -> dict[str, str | int]:
    """The answer, how many tokens the model was shown, and how many messages the conversation has now."""
    text = said.message.strip()
    try:
        shown = memory.window([*conversations.messages(said.conversation), user(text)], companion.count)
    except memory.TooLong as error:
        raise HTTPException(413, str(error)) from error
    reply = companion.answer(shown)
    conversations.add(said.conversation, text, reply)
    total = len(conversations.messages(said.conversation))
    return {"reply": reply, "tokens": companion.count(shown), "messages": total}


@app.delete("/chat/{conversation}")
def forget(conversation: str) -> dict[str, int]:
    """Start the conversation anew."""
    conversations.forget(conversation)
    return {"messages": 0}


def respond(message: str, history: list[dict]) -> Iterator[str]:
    """The page's answer. What was last said there is kept, so that the next visitor need not ask again."""
    if not message.strip():
        yield "Say something."
        return
    try:
        shown = memory.window([memory.SYSTEM, *said_there, user(message.strip())], companion.count)
    except memory.TooLong:
        yield "That is too long for me."
        return
    reply = companion.answer(shown)
    said_there.extend([user(message.strip()), {"role": "assistant", "content": reply}])
    yield reply


def user(text: str) -> memory.Message:
    return {"role": "user", "content": text}


page = gr.ChatInterface(respond, title="Companion", api_name="chat")
app = gr.mount_gradio_app(app, page, path="/ui")
