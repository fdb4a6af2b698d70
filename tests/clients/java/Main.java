import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.util.List;
import linli.redemption.v1.MemberCodeOuterClass.UsableOffer;
import linli.redemption.v1.RedemptionOuterClass.Redemption;

/** A day at the till: one line a step, and at the end what it has taken. */
public final class Main {
  private static final String ADDRESS = System.getenv("LINLI_REDEMPTION");
  private static final Path FOLDER = Path.of(System.getenv("LINLI_TILL"));
  private static final HttpClient HTTP = HttpClient.newHttpClient();

  /** What was sold first. */
  private record Sale(String handle, UsableOffer tea, UsableOffer fruit, Redemption captured) {}

  private interface Call {
    Object make() throws Exception;
  }

  public static void main(String[] arguments) throws Exception {
    var till = new Till(ADDRESS, FOLDER);
    till.pair(System.getenv("LINLI_COMMUNITY"), System.getenv("LINLI_PAIRING_CODE"), "Java till");
    step("pair", id(till.paired().terminal()));
    var sale = sale(till);
    String lost = loseAnswer(till, sale);
    till.close();
    till = new Till(ADDRESS, FOLDER);
    var redeemed = repeatLost(till, lost);
    loseRequest(till, sale);
    var reversed = till.reverse(sale.captured().getName(), 1, "brought back", "CLERK01");
    step("reverse", state(reversed) + " " + reversed.getReversedPoints() + " points back");
    refusal(till, sale);
    rotate(till);
    long taken =
        sale.captured().getCapturedPoints() + redeemed.getCapturedPoints() - reversed.getReversedPoints();
    step("taken", String.valueOf(taken));
    till.close();
  }

  /** Scans, quotes, holds three and captures two. */
  private static Sale sale(Till till) throws Exception {
    var resolved = till.resolve(counter("show"), "");
    String handle = resolved.getHandle().getName();
    long band = resolved.getBalances(0).getAtLeastPoints();
    step("resolve", resolved.getHandle().getMaskedName() + ", at least " + band + " points");
    var offers = resolved.getOffersList();
    var tea = offers.stream().filter(offer -> offer.getMaxQuantity() > 0).findFirst().orElseThrow();
    var fruit = offers.stream().filter(offer -> !offer.getRefusal().isEmpty()).findFirst().orElseThrow();

    var quoted = till.quote(handle, tea.getOffer(), 3);
    step("quote", "3 × " + tea.getTitle() + ": " + quoted.getPoints() + " points");
    var held = till.hold(handle, tea.getOffer(), 3);
    step("hold", state(held) + " " + held.getPoints() + " points");
    var captured = till.capture(held.getName(), 2);
    step("capture", state(captured) + " " + captured.getCapturedPoints() + " points");
    expect(till.find(id(quoted.getName())).isEmpty(), "a quote leaves nothing");
    return new Sale(handle, tea, fruit, captured);
  }

  /** The sale is made and its answer lost; returns the id of the call. */
  private static String loseAnswer(Till till, Sale sale) throws Exception {
    counter("lose/answer");
    till.tries(1);
    String id = Till.newId();
    failure(Till.Unanswered.class, () -> till.redeem(sale.handle(), sale.tea().getOffer(), 1, id));
    step("lose-answer", "no answer to Redeem; written down before it was sent");
    return id;
  }

  /** After a restart the till repeats the call and gets the first answer. */
  private static Redemption repeatLost(Till till, String lost) throws Exception {
    expect(till.unanswered().equals(List.of(lost)), "the call is known after a restart");
    var found = till.find(lost).orElseThrow();
    step("find", state(found) + " " + found.getCapturedPoints() + " points: it had arrived");
    var again = till.repeat(lost);
    expect(again.equals(found) && till.unanswered().isEmpty(), "the repeated call gets the first answer");
    step("repeat", state(again) + " " + again.getCapturedPoints() + " points: the first answer");
    return again;
  }

  /** A call is lost on its way, the member leaves: it is cancelled and has no effect however late it comes. */
  private static void loseRequest(Till till, Sale sale) throws Exception {
    counter("lose/request");
    till.tries(1);
    String id = Till.newId();
    Call redeem = () -> till.redeem(sale.handle(), sale.tea().getOffer(), 1, id);
    failure(Till.Unanswered.class, redeem);
    till.tries(5);
    expect(till.find(id).isEmpty(), "the call has not arrived");
    expect(till.cancel(id).isEmpty(), "there is nothing to undo");
    step("cancel", "no answer to Redeem; it had not arrived and never will");
    var late = failure(Till.Refused.class, redeem);
    expect(late.reason.equals("CANCELLED"), late.getMessage());
    step("late", late.getMessage());
  }

  private static void refusal(Till till, Sale sale) throws Exception {
    String id = Till.newId();
    Call redeem = () -> till.redeem(sale.handle(), sale.fruit().getOffer(), 1, id);
    var refusal = failure(Till.Refused.class, redeem);
    expect(refusal.reason.equals("INSUFFICIENT_POINTS"), refusal.getMessage());
    step("refusal", refusal.getMessage());
  }

  private static void rotate(Till till) throws Exception {
    String old = till.paired().key();
    till.rotateKey();
    expect(!till.paired().key().equals(old), "a new key");
    expect(till.find(Till.newId()).isEmpty(), "it calls with the new key");
    step("rotate", "calls with a new key");
  }

  /** What happens at the counter: a member shows a code, the network loses something. */
  private static String counter(String path) throws IOException, InterruptedException {
    var request =
        HttpRequest.newBuilder(URI.create(System.getenv("LINLI_COUNTER") + "/" + path))
            .version(HttpClient.Version.HTTP_1_1)
            .POST(HttpRequest.BodyPublishers.noBody())
            .build();
    var answer = HTTP.send(request, HttpResponse.BodyHandlers.ofString());
    expect(answer.statusCode() == 200, path + ": " + answer.body());
    return answer.body();
  }

  private static <E extends Exception> E failure(Class<E> kind, Call call) throws Exception {
    try {
      call.make();
    } catch (Exception exception) {
      if (kind.isInstance(exception)) {
        return kind.cast(exception);
      }
      throw exception;
    }
    throw new IllegalStateException("not as promised: " + kind.getSimpleName() + " was to come");
  }

  private static void expect(boolean fact, String told) {
    if (!fact) {
      throw new IllegalStateException("not as promised: " + told);
    }
  }

  private static void step(String name, String told) {
    System.out.printf("%-14s %s%n", name, told);
  }

  private static String state(Redemption redemption) {
    return redemption.getState().name().replace("REDEMPTION_STATE_", "");
  }

  private static String id(String name) {
    return name.substring(name.lastIndexOf('/') + 1);
  }
}
