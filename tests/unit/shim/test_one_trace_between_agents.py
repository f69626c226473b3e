"""An agent that asks another over HTTP, as by A2A: both are in one trace, streams included."""

from __future__ import annotations

REMOTE_AND_LOCAL = """
import asyncio, socket, threading, time
import fastapi, httpx, midwatch, uvicorn
from fastapi.responses import StreamingResponse

app = fastapi.FastAPI()

@app.post("/message")
def message(body: dict):
    def events():
        with midwatch.agent("remote"):
            for number in range(3):
                yield f"data: {number}\\n\\n"
    return StreamingResponse(events(), media_type="text/event-stream")

listener = socket.create_server(("127.0.0.1", 0))
url = f"http://127.0.0.1:{listener.getsockname()[1]}/message"
server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
serving = threading.Thread(target=server.run, args=([listener],))
serving.start()
while not server.started:
    time.sleep(0.01)

async def streamed():
    async with httpx.AsyncClient() as client:
        async with client.stream("POST", url, json={"message": "more"}) as answer:
            return [line async for line in answer.aiter_lines() if line]

with midwatch.turn("s1"), midwatch.agent("local"):
    assert httpx.post(url, json={"message": "hello"}).text.count("data:") == 3
    assert len(asyncio.run(streamed())) == 3
server.should_exit = True
serving.join()
"""


def test_agents_that_ask_each_other_over_http_are_in_one_trace(midwatch_run, collector, tmp_path):
    (tmp_path / "work.py").write_text(REMOTE_AND_LOCAL)
    process = midwatch_run("python", "work.py", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, output + errors
    assert sorted(collector.spans) == [
        "POST",
        "POST",
        "POST /message",
        "POST /message",
        "agent.turn",
        "invoke_agent local",
        "invoke_agent remote",
        "invoke_agent remote",
    ]
    assert len(collector.trace_ids) == 1
