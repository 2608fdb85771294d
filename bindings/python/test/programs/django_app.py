"""What Django applications do, by ASGI and by WSGI."""

import asyncio

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="a test's",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
)
django.setup()

events = []


def home(request):
    return JsonResponse({"client": request.META["REMOTE_ADDR"], "secure": request.is_secure()})


@csrf_exempt
def form(request):
    return JsonResponse({"note": request.POST["note"], "length": request.FILES["file"].size})


@csrf_exempt
def data(request):
    return JsonResponse({"length": len(request.body)})


def stream(request):
    return StreamingHttpResponse(f"{number}\n" for number in range(3))


def file(request):
    return FileResponse(open(request.GET["path"], "rb"))


async def hold(request):
    """Django cancels a view whose client has gone: it hears of that by `receive`."""
    try:
        events.append("holding")
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        events.append("cancelled")
        raise


def all_events(request):
    return JsonResponse(events, safe=False)


def plain(request):
    return HttpResponse("plain")


urlpatterns = [
    path(f"{prefix}/{name}", view)
    for prefix in ("django", "django-wsgi")
    for name, view in [
        ("", home),
        ("form", form),
        ("data", data),
        ("stream", stream),
        ("file", file),
        ("hold", hold),
        ("events", all_events),
        ("plain", plain),
    ]
]

asgi = get_asgi_application()
wsgi = get_wsgi_application()
