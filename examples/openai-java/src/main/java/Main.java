import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.errors.OpenAIServiceException;
import com.openai.models.chat.completions.ChatCompletion;
import com.openai.models.chat.completions.ChatCompletionCreateParams;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Asks an adapted model one question with OpenAI's Java client, through the local Envoy. */
public final class Main {
  /** Reads the JWT-SVID anew for each call: it lasts minutes, and its file is replaced. */
  private static String credential() throws IOException {
    return Files.readString(Path.of(System.getenv("CREDENTIAL_FILE"))).strip();
  }

  public static void main(String[] args) throws IOException {
    OpenAIClient client =
        OpenAIOkHttpClient.builder()
            .baseUrl(System.getenv().getOrDefault("BASE_URL", "http://127.0.0.1:10000/v1"))
            .apiKey("held-by-the-gateway") // required by the client; Envoy replaces it
            .build();
    ChatCompletionCreateParams question =
        ChatCompletionCreateParams.builder()
            .model(System.getenv("MODEL"))
            .addUserMessage("Where is my refund?")
            .putAdditionalHeader("x-environment-credential", credential())
            .build();
    try {
      ChatCompletion answer = client.chat().completions().create(question);
      System.out.println(answer.choices().get(0).message().content().orElse(""));
    } catch (OpenAIServiceException error) {
      System.err.printf(
          "denied: %d %s: %s%n", error.statusCode(), error.code().orElse(""), error.getMessage());
      System.exit(1);
    } finally {
      client.close();
    }
  }
}
