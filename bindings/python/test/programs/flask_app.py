"""What Flask applications do."""

from flask import Flask, Response, jsonify, request, send_file, session, stream_with_context

app = Flask(__name__)
app.secret_key = "a test's"


@app.get("/flask/")
def home():
    session["visits"] = session.get("visits", 0) + 1
    return jsonify(client=request.remote_addr, url=request.url, visits=session["visits"])


@app.post("/flask/form")
def form():
    uploaded = request.files["file"].read()
    return jsonify(note=request.form["note"], length=len(uploaded))


@app.post("/flask/data")
def data():
    return jsonify(length=len(request.get_data()))


@app.get("/flask/stream")
def stream():
    @stream_with_context
    def pieces():
        for number in range(3):
            yield f"{request.path} {number}\n"

    return Response(pieces(), mimetype="text/plain")


@app.get("/flask/file")
def file():
    return send_file(request.args["path"], mimetype="application/octet-stream", conditional=True)
