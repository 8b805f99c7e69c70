"""The chatbot: a web API and a web page over the same model. `labctl` runs it as `uvicorn app:app --reload`.

POST   /chat {"conversation": "some id", "message": "text"}  →  {"reply": "text", "tokens": 57, "messages": 5}
DELETE /chat/{conversation}                                  →  {"messages": 0}
GET    /health                                               →  {"model": true}
GET    /ui/                                                  →  the page, made by Gradio
"""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI(title="Companion")


@app.get("/health")
def health() -> dict[str, bool]:
    """Whether the model is loaded."""
    return {"model": False}  # step 4: true as soon as it is


# Step 4: POST /chat and DELETE /chat/{conversation}.
#
# Step 5: the page. gr.ChatInterface(fn) calls fn(message, history); fn may be a generator that yields the growing answer. The
# history is the page's own: a list of messages, whose content may be text or a list of parts (memory.text_of makes it text).
# gr.mount_gradio_app(app, page, path="/ui") puts the page into this app.
