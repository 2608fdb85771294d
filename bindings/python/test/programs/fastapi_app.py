"""What FastAPI applications do."""

from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, File, UploadFile, WebSocket
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app):
    yield {"greeting": "hello"}


app = FastAPI(lifespan=lifespan, root_path="")


class Item(BaseModel):
    name: str
    price: float


def limit(limit: int = 10) -> int:
    return limit


@app.get("/fastapi/items/{number}")
async def item(number: int, most: Annotated[int, Depends(limit)]):
    return {"number": number, "most": most}


@app.post("/fastapi/items")
def make(item: Item):
    """Not a coroutine: it runs on a thread."""
    return {"made": item.name, "price": item.price}


@app.post("/fastapi/upload")
async def upload(file: Annotated[UploadFile, File()]):
    return {"length": len(await file.read())}


@app.websocket("/fastapi/ws")
async def ws(socket: WebSocket):
    await socket.accept()
    await socket.send_json({"greeting": socket.state.greeting, "got": await socket.receive_json()})
    await socket.close()
