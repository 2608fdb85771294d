#!/usr/bin/env bash
# Django sees no body in a WSGI request without CONTENT_LENGTH, although the server says that its input ends.
#
# What surprises: a WSGI server that has taken the chunks of a request apart sets `wsgi.input_terminated`,
# which says that `wsgi.input` may be read to its end without a length. Werkzeug (Flask) reads such a body;
# Django answers 200 with an empty one: no error, the upload is just gone. A server of WSGI applications
# has to know the length, so to buffer a chunked body first, for Django's sake.
#
# Versions: Django 5.2.19, Flask 3.1.3 with Werkzeug 3.1.9. Seen 2026-11-28.
# Source: PEP 3333; the `wsgi.input_terminated` extension (mod_wsgi, gunicorn); Django's WSGIRequest makes a
# LimitedStream of CONTENT_LENGTH, or of 0.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install -q --disable-pip-version-check Django==5.2.19 Flask==3.1.3 Werkzeug==3.1.9
env/bin/python - <<'PY'
import io, sys
import django, flask
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
from importlib.metadata import version
from wsgiref.util import setup_testing_defaults

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x" * 50)
django.setup()
urlpatterns = [path("upload", lambda request: HttpResponse(str(len(request.body))))]
from django.core.wsgi import get_wsgi_application
flask_app = flask.Flask("shop")
flask_app.add_url_rule("/upload", view_func=lambda: str(len(flask.request.get_data())), methods=["POST"])


def body_seen_by(application, length):
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/upload", "wsgi.input": io.BytesIO(b"x" * 1000),
               "wsgi.input_terminated": True, "CONTENT_TYPE": "application/octet-stream"}
    if length:
        environ["CONTENT_LENGTH"] = "1000"
    else:
        environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    setup_testing_defaults(environ)
    status = []
    body = b"".join(application(environ, lambda line, fields, exc_info=None: status.append(line)))
    return status[0].split()[0], int(body)


seen = {(name, length): body_seen_by(application, length)
        for name, application in (("Django", get_wsgi_application()), ("Flask", flask_app.wsgi_app))
        for length in (True, False)}
print("Django", django.__version__, "Flask", version("flask"), "Werkzeug", version("werkzeug"))
for (name, length), (status, size) in seen.items():
    print(f"{name}, 1000 bytes {'with a length' if length else 'chunked, input_terminated'}: {status}, {size} bytes seen")
expected = {("Django", True): ("200", 1000), ("Django", False): ("200", 0),
            ("Flask", True): ("200", 1000), ("Flask", False): ("200", 1000)}
if seen != expected:
    sys.exit("CHANGED")
print("as described")
PY
