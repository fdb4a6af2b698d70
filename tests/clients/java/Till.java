import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import com.google.rpc.LocalizedMessage;
import com.google.rpc.RetryInfo;
import io.grpc.CallCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.AbstractBlockingStub;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Executor;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Stream;
import linli.redemption.v1.MemberCodeOuterClass.ResolveMemberCodeRequest;
import linli.redemption.v1.MemberCodeOuterClass.ResolveMemberCodeResponse;
import linli.redemption.v1.MemberCodeServiceGrpc;
import linli.redemption.v1.MemberCodeServiceGrpc.MemberCodeServiceBlockingStub;
import linli.redemption.v1.RedemptionOuterClass.CancelRedemptionByRequestIdRequest;
import linli.redemption.v1.RedemptionOuterClass.CaptureRedemptionRequest;
import linli.redemption.v1.RedemptionOuterClass.GetRedemptionRequest;
import linli.redemption.v1.RedemptionOuterClass.HoldRedemptionRequest;
import linli.redemption.v1.RedemptionOuterClass.RedeemRequest;
import linli.redemption.v1.RedemptionOuterClass.Redemption;
import linli.redemption.v1.RedemptionOuterClass.ReverseRedemptionRequest;
import linli.redemption.v1.RedemptionServiceGrpc;
import linli.redemption.v1.RedemptionServiceGrpc.RedemptionServiceBlockingStub;
import linli.redemption.v1.TerminalOuterClass.PairTerminalRequest;
import linli.redemption.v1.TerminalOuterClass.RotateTerminalKeyRequest;
import linli.redemption.v1.TerminalServiceGrpc;
import linli.redemption.v1.TerminalServiceGrpc.TerminalServiceBlockingStub;

/**
 * A till: everything that a shop's till does with Linli, over gRPC.
 *
 * <p>A call that moves points is written down before it is sent and struck out when it has an answer, so that no crash and no lost answer leaves a
 * sale in doubt. See docs/till.md.
 */
final class Till implements AutoCloseable {
  private static final long MOVE_MS = 3000;
  private static final long QUERY_MS = 2000;
  private static final long FIRST_WAIT_MS = 200;
  private static final String NOTE = ".call";

  /** The server has decided, and the same call would be refused the same again. Whatever else comes is no answer. */
  private static final Set<Status.Code> REFUSALS =
      EnumSet.of(
          Status.Code.INVALID_ARGUMENT,
          Status.Code.NOT_FOUND,
          Status.Code.ALREADY_EXISTS,
          Status.Code.PERMISSION_DENIED,
          Status.Code.FAILED_PRECONDITION,
          Status.Code.OUT_OF_RANGE,
          Status.Code.UNIMPLEMENTED);

  /** The server said no. Programs go by {@code reason}, the clerk reads {@code text}. */
  static class Refused extends Exception {
    final String reason;
    final String text;

    Refused(Status.Code code, String reason, String text) {
      super(code + " " + reason + ": " + text);
      this.reason = reason;
      this.text = text;
    }
  }

  /** The till is not let in. What became of the call is as unknown as before. */
  static final class KeyRefused extends Refused {
    KeyRefused(Status.Code code, String reason, String text) {
      super(code, reason, text);
    }
  }

  /** Nobody knows what became of the call: repeat it, ask for it, or cancel it, by its request id. */
  static final class Unanswered extends Exception {
    final String requestId;

    Unanswered(String requestId) {
      super("no answer to " + requestId);
      this.requestId = requestId;
    }
  }

  /** What a till knows once it is paired. */
  record Paired(String community, String terminal, String merchant, String key) {
    Paired withKey(String key) {
      return new Paired(community, terminal, merchant, key);
    }
  }

  private final ManagedChannel channel;
  private final RedemptionServiceBlockingStub redemption;
  private final TerminalServiceBlockingStub terminals;
  private final MemberCodeServiceBlockingStub codes;
  private final Path keyFile;
  private final Path notes;
  private Paired paired;
  private int tries = 5;

  /** A till, as it stands in its folder: its key and the calls that have no answer yet. */
  Till(String address, Path folder) throws IOException {
    // Where TLS ends at a gateway, leave usePlaintext() out.
    channel = NettyChannelBuilder.forTarget(address).usePlaintext().build();
    redemption = RedemptionServiceGrpc.newBlockingStub(channel);
    terminals = TerminalServiceGrpc.newBlockingStub(channel);
    codes = MemberCodeServiceGrpc.newBlockingStub(channel);
    keyFile = folder.resolve("key");
    notes = Files.createDirectories(folder.resolve("unanswered"));
    if (Files.exists(keyFile)) {
      List<String> lines = Files.readAllLines(keyFile);
      paired = new Paired(lines.get(0), lines.get(1), lines.get(2), lines.get(3));
    }
  }

  @Override
  public void close() {
    channel.shutdownNow();
  }

  Paired paired() {
    return paired;
  }

  /** How often a call is sent before it counts as unanswered. */
  void tries(int tries) {
    this.tries = tries;
  }

  // Being let in

  /** Pairs with the code that somebody typed in, and keeps the key. */
  void pair(String community, String code, String displayName) throws Refused, Unanswered, IOException {
    var request =
        PairTerminalRequest.newBuilder()
            .setParent(community)
            .setCode(code)
            .setDisplayName(displayName)
            .setRequestId(newId())
            .build();
    var answer = ask(terminals, stub -> stub.pairTerminal(request), request.getRequestId(), MOVE_MS);
    var terminal = answer.getTerminal();
    keep(new Paired(community, terminal.getName(), terminal.getMerchant(), answer.getKey()));
  }

  /** Changes the key. The old one counts for another day, so a lost answer locks nobody out. */
  void rotateKey() throws Refused, Unanswered, IOException {
    var request =
        RotateTerminalKeyRequest.newBuilder().setName(paired.terminal()).setRequestId(newId()).build();
    var answer = ask(terminals, stub -> stub.rotateTerminalKey(request), request.getRequestId(), MOVE_MS);
    keep(paired.withKey(answer.getKey()));
  }

  // A sale

  /** Turns what was scanned into a handle, and says what the member can take. A PIN is never written down. */
  ResolveMemberCodeResponse resolve(String code, String pin) throws Refused, Unanswered {
    var request =
        ResolveMemberCodeRequest.newBuilder()
            .setParent(paired.community())
            .setMerchant(paired.merchant())
            .setCode(code)
            .setPin(pin)
            .setRequestId(newId())
            .build();
    return ask(codes, stub -> stub.resolveMemberCode(request), request.getRequestId(), MOVE_MS);
  }

  /** What a hold would come to; changes nothing. */
  Redemption quote(String handle, String offer, long quantity) throws Refused, Unanswered {
    var request = order(handle, offer, quantity).setValidateOnly(true).build();
    return ask(redemption, stub -> stub.holdRedemption(request), request.getRequestId(), QUERY_MS);
  }

  /** Reserves points and stock for five minutes. */
  Redemption hold(String handle, String offer, long quantity) throws Refused, Unanswered, IOException {
    return move(order(handle, offer, quantity).build());
  }

  /** Spends what is held, or a part of it; the rest goes back. */
  Redemption capture(String name, long quantity) throws Refused, Unanswered, IOException {
    return move(
        CaptureRedemptionRequest.newBuilder()
            .setName(name)
            .setRequestId(newId())
            .setQuantity(quantity)
            .build());
  }

  /** Hold and capture in one, under an id that was made before. */
  Redemption redeem(String handle, String offer, long quantity, String requestId)
      throws Refused, Unanswered, IOException {
    return move(
        RedeemRequest.newBuilder()
            .setParent(paired.community())
            .setRequestId(requestId)
            .setMemberHandle(handle)
            .setOffer(offer)
            .setQuantity(quantity)
            .build());
  }

  /** Gives back what was captured, or a part of it. */
  Redemption reverse(String name, long quantity, String reason, String operator)
      throws Refused, Unanswered, IOException {
    return move(
        ReverseRedemptionRequest.newBuilder()
            .setName(name)
            .setRequestId(newId())
            .setQuantity(quantity)
            .setReason(reason)
            .setOperator(operator)
            .build());
  }

  private HoldRedemptionRequest.Builder order(String handle, String offer, long quantity) {
    return HoldRedemptionRequest.newBuilder()
        .setParent(paired.community())
        .setRequestId(newId())
        .setMemberHandle(handle)
        .setOffer(offer)
        .setQuantity(quantity);
  }

  // In doubt

  /** The ids of calls that were sent, as far as is known, and have no answer. */
  List<String> unanswered() throws IOException {
    try (Stream<Path> files = Files.list(notes)) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(NOTE))
          .map(name -> name.substring(0, name.length() - NOTE.length()))
          .sorted()
          .toList();
    }
  }

  /** Sends a call again as it was: it gets its first answer, or has its effect now. */
  Redemption repeat(String requestId) throws Refused, Unanswered, IOException {
    var any = Any.parseFrom(Base64.getDecoder().decode(Files.readString(note(requestId))));
    for (Class<? extends Message> kind :
        List.of(
            HoldRedemptionRequest.class,
            CaptureRedemptionRequest.class,
            RedeemRequest.class,
            ReverseRedemptionRequest.class)) {
      if (any.is(kind)) {
        return move(any.unpack(kind));
      }
    }
    throw new IOException("no call of a till: " + any.getTypeUrl());
  }

  /** The redemption that a Redeem or HoldRedemption made; nothing when it has not arrived, or was refused. */
  Optional<Redemption> find(String requestId) throws Refused, Unanswered {
    var request =
        GetRedemptionRequest.newBuilder()
            .setName(paired.community() + "/redemptions/" + requestId)
            .build();
    try {
      return Optional.of(ask(redemption, stub -> stub.getRedemption(request), requestId, QUERY_MS));
    } catch (Refused refusal) {
      // "Not the caller's own, or not there": whoever may only see their own is not told which.
      if (refusal.reason.equals("NOT_YOURS")) {
        return Optional.empty();
      }
      throw refusal;
    }
  }

  /** Undoes a Redeem or HoldRedemption, or makes sure that it never has an effect. */
  Optional<Redemption> cancel(String requestId) throws Refused, Unanswered, IOException {
    var request =
        CancelRedemptionByRequestIdRequest.newBuilder()
            .setParent(paired.community())
            .setRequestId(requestId)
            .build();
    var answer = ask(redemption, stub -> stub.cancelRedemptionByRequestId(request), requestId, MOVE_MS);
    Files.deleteIfExists(note(requestId));
    return answer.hasRedemption() ? Optional.of(answer.getRedemption()) : Optional.empty();
  }

  // How calls are made

  /** Writes a call down, sends it, and strikes it out when it has an answer. */
  private Redemption move(Message request) throws Refused, Unanswered, IOException {
    String requestId;
    Function<RedemptionServiceBlockingStub, Redemption> method;
    if (request instanceof HoldRedemptionRequest hold) {
      requestId = hold.getRequestId();
      method = stub -> stub.holdRedemption(hold);
    } else if (request instanceof CaptureRedemptionRequest capture) {
      requestId = capture.getRequestId();
      method = stub -> stub.captureRedemption(capture);
    } else if (request instanceof RedeemRequest redeem) {
      requestId = redeem.getRequestId();
      method = stub -> stub.redeem(redeem);
    } else if (request instanceof ReverseRedemptionRequest reversal) {
      requestId = reversal.getRequestId();
      method = stub -> stub.reverseRedemption(reversal);
    } else {
      throw new IllegalArgumentException(request.getDescriptorForType().getFullName());
    }
    write(note(requestId), Base64.getEncoder().encodeToString(Any.pack(request).toByteArray()));
    try {
      var answer = ask(redemption, method, requestId, MOVE_MS);
      Files.delete(note(requestId));
      return answer;
    } catch (KeyRefused refusal) {
      throw refusal;
    } catch (Refused refusal) {
      Files.delete(note(requestId));
      throw refusal;
    }
  }

  /** Sends the same call until it has an answer, a little later each time. */
  private <S extends AbstractBlockingStub<S>, A> A ask(
      S stub, Function<S, A> method, String requestId, long ms) throws Refused, Unanswered {
    long wait = FIRST_WAIT_MS;
    for (int attempt = 1; attempt <= tries; attempt++) {
      try {
        var call = stub.withDeadlineAfter(ms, TimeUnit.MILLISECONDS).withWaitForReady();
        return method.apply(paired == null ? call : call.withCallCredentials(new Bearer(paired.key())));
      } catch (StatusRuntimeException error) {
        var details = Details.of(error);
        var code = error.getStatus().getCode();
        if (code == Status.Code.UNAUTHENTICATED) {
          throw new KeyRefused(code, details.reason, details.text);
        }
        if (REFUSALS.contains(code)) {
          throw new Refused(code, details.reason, details.text);
        }
        if (attempt < tries) {
          pause(Math.max(details.retryAfterMs, (long) (wait * ThreadLocalRandom.current().nextDouble(0.8, 1.2))));
          wait *= 2;
        }
      }
    }
    throw new Unanswered(requestId);
  }

  private static void pause(long ms) {
    try {
      Thread.sleep(ms);
    } catch (InterruptedException interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private Path note(String requestId) {
    return notes.resolve(requestId + NOTE);
  }

  private void keep(Paired paired) throws IOException {
    write(keyFile, String.join("\n", paired.community(), paired.terminal(), paired.merchant(), paired.key()));
    this.paired = paired;
  }

  /** Writes a file that only the till reads; it is on the disk, whole, before this returns. */
  private static void write(Path file, String text) throws IOException {
    Path beside = file.resolveSibling(file.getFileName() + ".new");
    var owner = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));
    Files.deleteIfExists(beside);
    var create = Set.of(StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);
    try (FileChannel out = FileChannel.open(beside, create, owner)) {
      out.write(ByteBuffer.wrap(text.getBytes(java.nio.charset.StandardCharsets.UTF_8)));
      out.force(true);
    }
    Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE);
    try (FileChannel folder = FileChannel.open(file.getParent(), StandardOpenOption.READ)) {
      folder.force(true);
    }
  }

  static String newId() {
    return UUID.randomUUID().toString();
  }

  /** The key, on every call. */
  private static final class Bearer extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
    private final String key;

    Bearer(String key) {
      this.key = key;
    }

    @Override
    public void applyRequestMetadata(RequestInfo call, Executor executor, MetadataApplier applier) {
      var metadata = new Metadata();
      metadata.put(AUTHORIZATION, "Bearer " + key);
      applier.apply(metadata);
    }

    @Override
    public void thisUsesUnstableApi() {}
  }

  /** The reason, the text for the clerk, and how long to wait at least. */
  private static final class Details {
    private String reason = "";
    private String text = "";
    private long retryAfterMs = 0;

    static Details of(StatusRuntimeException error) {
      var found = new Details();
      var status = StatusProto.fromThrowable(error);
      try {
        for (Any detail : status == null ? List.<Any>of() : status.getDetailsList()) {
          if (detail.is(ErrorInfo.class)) {
            found.reason = detail.unpack(ErrorInfo.class).getReason();
          } else if (detail.is(LocalizedMessage.class)) {
            var localized = detail.unpack(LocalizedMessage.class);
            found.text = localized.getLocale().equals("zh-CN") ? localized.getMessage() : found.text;
          } else if (detail.is(RetryInfo.class)) {
            var delay = detail.unpack(RetryInfo.class).getRetryDelay();
            found.retryAfterMs = delay.getSeconds() * 1000 + delay.getNanos() / 1_000_000;
          }
        }
      } catch (InvalidProtocolBufferException unreadable) {
        found.text = error.getMessage();
      }
      return found;
    }
  }
}
