// One of Curator's caches in a process of its own, driven as bench/peer.py says: Peer tree-cache|curator-cache HOSTS.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.cache.TreeCacheEvent;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;

public class Peer {
    static final String ROOT = "/bench/tree";

    interface Cache {
        void start(CountDownLatch initialized) throws Exception;

        byte[] data(String path);

        List<String> paths();

        void listen(Consumer<byte[]> listener);
    }

    static class Tree implements Cache {
        final TreeCache cache;

        Tree(CuratorFramework client) {
            cache = TreeCache.newBuilder(client, ROOT).build();
        }

        public void start(CountDownLatch initialized) throws Exception {
            cache.getListenable().addListener((client, event) -> {
                if (event.getType() == TreeCacheEvent.Type.INITIALIZED) {
                    initialized.countDown();
                }
            });
            cache.start();
        }

        public byte[] data(String path) {
            ChildData data = cache.getCurrentData(path);
            return data == null ? null : data.getData();
        }

        public List<String> paths() {
            List<String> paths = new ArrayList<>(List.of(ROOT));
            for (int i = 0; i < paths.size(); i++) {
                Map<String, ChildData> children = cache.getCurrentChildren(paths.get(i));
                for (String name : children == null ? Collections.<String>emptySet() : children.keySet()) {
                    paths.add(paths.get(i) + "/" + name);
                }
            }
            return paths;
        }

        public void listen(Consumer<byte[]> listener) {
            cache.getListenable().addListener((client, event) -> {
                if (event.getType() == TreeCacheEvent.Type.NODE_UPDATED) {
                    listener.accept(event.getData().getData());
                }
            });
        }
    }

    static class Curator implements Cache {
        final CuratorCache cache;

        Curator(CuratorFramework client) {
            cache = CuratorCache.build(client, ROOT);
        }

        public void start(CountDownLatch initialized) {
            cache.listenable().addListener(
                    CuratorCacheListener.builder().forInitialized(initialized::countDown).build());
            cache.start();
        }

        public byte[] data(String path) {
            Optional<ChildData> data = cache.get(path);
            return data.map(ChildData::getData).orElse(null);
        }

        public List<String> paths() {
            return cache.stream().map(ChildData::getPath).collect(Collectors.toList());
        }

        public void listen(Consumer<byte[]> listener) {
            cache.listenable().addListener(CuratorCacheListener.builder()
                    .forChanges((before, after) -> listener.accept(after.getData()))
                    .build());
        }
    }

    static volatile double connectedAt = now();

    static double now() {
        java.time.Instant now = java.time.Instant.now();
        return now.getEpochSecond() + now.getNano() / 1e9;
    }

    static String field(String line, String name) {
        Matcher matcher = Pattern.compile("\"" + name + "\": (?:\"([^\"]*)\"|(\\d+))").matcher(line);
        return matcher.find() ? (matcher.group(1) != null ? matcher.group(1) : matcher.group(2)) : null;
    }

    static String digest(Cache cache) throws Exception {
        MessageDigest found = MessageDigest.getInstance("SHA-256");
        List<String> paths = cache.paths();
        Collections.sort(paths);
        for (String path : paths) {
            found.update(path.getBytes(StandardCharsets.UTF_8));
            found.update((byte) 0);
            found.update(cache.data(path));
            found.update((byte) 0);
        }
        return HexFormat.of().formatHex(found.digest());
    }

    static long live() throws InterruptedException {
        for (int i = 0; i < 3; i++) {
            System.gc();
            Thread.sleep(100);
        }
        return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
    }

    static long resident() throws Exception {
        return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) * 4096;
    }

    public static void main(String[] arguments) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
                .connectString(arguments[1])
                .retryPolicy(new RetryForever(50))
                .sessionTimeoutMs(10000)
                .build();
        client.getConnectionStateListenable().addListener((c, state) -> {
            if (state == ConnectionState.CONNECTED || state == ConnectionState.RECONNECTED) {
                connectedAt = now();
            }
        });
        client.start();
        client.blockUntilConnected();
        Cache cache = arguments[0].equals("tree-cache") ? new Tree(client) : new Curator(client);
        List<Double> ages = Collections.synchronizedList(new ArrayList<>());
        long live = live();
        long resident = resident();
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String answer = "{}";
            switch (field(line, "do")) {
                case "load":
                    CountDownLatch initialized = new CountDownLatch(1);
                    long started = System.nanoTime();
                    cache.start(initialized);
                    initialized.await();
                    double seconds = (System.nanoTime() - started) / 1e9;
                    answer = "{\"seconds\": " + seconds + "}";
                    break;
                case "digest":
                    answer = "{\"digest\": \"" + digest(cache) + "\"}";
                    break;
                case "memory":
                    answer = "{\"resident\": " + (resident() - resident) + ", \"live\": " + (live() - live) + "}";
                    break;
                case "wait":
                    byte[] wanted = field(line, "data").getBytes(StandardCharsets.UTF_8);
                    while (!Arrays.equals(wanted, cache.data(field(line, "path")))) {
                        Thread.sleep(0, 500_000);
                    }
                    answer = "{\"at\": " + now() + "}";
                    break;
                case "reconnected":
                    answer = "{\"at\": " + connectedAt + "}";
                    break;
                case "cpu":
                    long cpu = ((com.sun.management.OperatingSystemMXBean)
                                    ManagementFactory.getOperatingSystemMXBean())
                            .getProcessCpuTime();
                    answer = "{\"seconds\": " + cpu / 1e9 + "}";
                    break;
                case "listen":
                    cache.listen(data -> {
                        if (data != null && data.length > 0 && data[0] == 'T') {
                            String sent = new String(data, 1, data.length - 1, StandardCharsets.UTF_8);
                            ages.add(now() - Double.parseDouble(sent));
                        }
                    });
                    break;
                case "ages":
                    answer = "{\"ages\": " + ages + "}";
                    break;
                default:
                    throw new IllegalArgumentException(line);
            }
            System.out.println(answer);
        }
        System.exit(0);
    }
}
