// Java's HttpClient against one entry: `java Client BASE_URL WAY ARRIVAL ASKED ANSWERED AUTHORITY`,
// where ASKED is the version the client is set to and ANSWERED the one it must end up with.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.net.http.WebSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
    static String base, way;
    static HttpClient client;
    static HttpClient.Version answered;

    public static void main(String[] arguments) throws Exception {
        base = arguments[0];
        way = arguments[1];
        var arrival = arguments[2];
        answered = HttpClient.Version.valueOf(arguments[4]);
        client = HttpClient.newBuilder()
            .version(HttpClient.Version.valueOf(arguments[3]))
            .sslContext(trusting(Path.of(arguments[5])))
            .build();

        // A POST comes first: in clear text it is the one that asks for h2c, with its body behind it.
        var body = new byte[1_000_000];
        Arrays.fill(body, (byte) 7);
        check(upload(BodyPublishers.ofByteArray(body)).contains(sha256(body)), "the upload's hash");
        var echo = get("echo?a=1");
        check(echo.contains("\"arrival\":\"" + arrival + "\""), echo);
        // A delegated request is the client's own, down to the fields of its connection.
        check(arrival.equals("delegated") || !echo.contains("http2-settings"), "passed on: " + echo);
        // A stream has no length.
        var stream = BodyPublishers.ofInputStream(() -> new java.io.ByteArrayInputStream(body));
        check(upload(stream).contains(sha256(body)), "the stream's hash");

        var many = IntStream.range(0, 100).mapToObj(number -> client
            .sendAsync(request("stream/" + number * 1000).build(), BodyHandlers.ofByteArray())
            .thenAccept(response -> check(response.body().length == number * 1000, "stream/" + number)))
            .toArray(CompletableFuture[]::new);
        CompletableFuture.allOf(many).get(60, TimeUnit.SECONDS);

        var head = client.send(
            request("bytes/1000").method("HEAD", BodyPublishers.noBody()).build(), BodyHandlers.ofString());
        check(head.headers().firstValueAsLong("content-length").getAsLong() == 1000, "HEAD's length");
        webSocket();
        System.out.println("done");
        System.exit(0);
    }

    static HttpRequest.Builder request(String path) {
        return HttpRequest.newBuilder(URI.create(base + "/" + way + "/" + path));
    }

    static String get(String path) throws Exception {
        return answer(request(path).build());
    }

    static String upload(HttpRequest.BodyPublisher body) throws Exception {
        return answer(request("upload").POST(body).build());
    }

    static String answer(HttpRequest request) throws Exception {
        HttpResponse<String> response = client.send(request, BodyHandlers.ofString());
        check(response.statusCode() == 200, "status " + response.statusCode());
        check(response.version() == answered, "answered in " + response.version());
        return response.body();
    }

    static void webSocket() throws Exception {
        var received = new CompletableFuture<String>();
        var listener = new WebSocket.Listener() {
            @Override
            public CompletionStage<?> onText(WebSocket socket, CharSequence text, boolean last) {
                received.complete(text.toString());
                return null;
            }
        };
        var address = URI.create("ws" + base.substring("http".length()) + "/" + way + "/ws");
        var socket = client.newWebSocketBuilder().buildAsync(address, listener).get(60, TimeUnit.SECONDS);
        socket.sendText("hello", true).get(60, TimeUnit.SECONDS);
        check(received.get(60, TimeUnit.SECONDS).equals("hello"), "the WebSocket's echo");
        socket.sendClose(1000, "").get(60, TimeUnit.SECONDS);
    }

    static SSLContext trusting(Path authority) throws Exception {
        var store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (var pem = Files.newInputStream(authority)) {
            store.setCertificateEntry("test", CertificateFactory.getInstance("X.509").generateCertificate(pem));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
