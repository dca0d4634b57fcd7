// The story with Axis 1.4: a class per message and a typed exception, made by WSDL2Java.
import java.net.URL;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.Hashtable;
import java.util.stream.Collectors;
import javax.xml.soap.SOAPElement;
import org.apache.axis.client.Stub;
import org.apache.axis.message.SOAPHeaderElement;
import org.apache.axis.transport.http.HTTPConstants;

public class Story {
    static final String RUN = System.getenv("RUN");
    static final String AUTH = System.getenv("SOAP_AUTH");
    static final String WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-";

    /** A UsernameToken, good for one call; Axis itself knows none. */
    static SOAPHeaderElement token(String id, String secret) throws Exception {
        String wsse = WSS + "wssecurity-secext-1.0.xsd";
        SOAPHeaderElement security = new SOAPHeaderElement(wsse, "Security");
        security.setActor(null);
        SOAPElement token = security.addChildElement("UsernameToken", "wsse", wsse);
        token.addChildElement("Username", "wsse").addTextNode(id);
        SOAPElement password = token.addChildElement("Password", "wsse");
        if (AUTH.equals("text")) {
            password.addTextNode(secret);
            return security;
        }
        byte[] nonce = new byte[16];
        new SecureRandom().nextBytes(nonce);
        String created = Instant.now().toString();
        MessageDigest sha1 = MessageDigest.getInstance("SHA-1");
        sha1.update(nonce);
        sha1.update((created + secret).getBytes());
        password.addTextNode(Base64.getEncoder().encodeToString(sha1.digest()));
        password.setAttribute("Type", WSS + "username-token-profile-1.0#PasswordDigest");
        token.addChildElement("Nonce", "wsse").addTextNode(Base64.getEncoder().encodeToString(nonce));
        token.addChildElement("Created", "wsu", WSS + "wssecurity-utility-1.0.xsd").addTextNode(created);
        return security;
    }

    /** The stub of a service, which shows its key in the way that is wanted in its next call. */
    static <T> T ready(T port, String service) throws Exception {
        String key = System.getenv("KEY_" + service.toUpperCase());
        String[] parts = key.split("_", 3);
        Stub stub = (Stub) port;
        switch (AUTH) {
            case "basic":
                stub.setUsername(parts[1]);
                stub.setPassword(parts[2]);
                break;
            case "bearer":
                Hashtable<String, String> headers = new Hashtable<>();
                headers.put("Authorization", "Bearer " + key);
                stub._setProperty(HTTPConstants.REQUEST_HEADERS, headers);
                break;
            default:
                stub.clearHeaders();
                stub.setHeader(token(parts[1], parts[2]));
        }
        return port;
    }

    static URL address(String service) throws Exception {
        return new URL(System.getenv("LICENTIA_URL") + "/soap/" + service);
    }

    static void say(String step, Object value) {
        System.out.println(step + "=" + value);
    }

    static licentia.sales.CreateOrder order(String sku) {
        licentia.sales.Customer customer = new licentia.sales.Customer();
        customer.setId("c1");
        customer.setName("Ünal & Söhne <GmbH>");
        licentia.sales.OrderLine line = new licentia.sales.OrderLine();
        line.setLineId("1");
        line.setSku(sku);
        line.setQuantity(1);
        licentia.sales.CreateOrder order = new licentia.sales.CreateOrder();
        order.setSource("interop");
        order.setOrderNumber(RUN);
        order.setCustomer(customer);
        order.setLines(new licentia.sales.OrderLine[] {line});
        return order;
    }

    static licentia.licensing.CheckoutLicenseResponse checkout(licentia.licensing.Licensing licensing, int number)
            throws Exception {
        licentia.licensing.CheckoutLicense wanted = new licentia.licensing.CheckoutLicense();
        wanted.setLeaseId(RUN + "-" + number);
        wanted.setProductCode(RUN);
        wanted.setUser(RUN);
        return ready(licensing, "licensing").checkoutLicense(wanted);
    }

    static String held(licentia.licensing.Licensing licensing) throws Exception {
        licentia.licensing.ListLeases wanted = new licentia.licensing.ListLeases();
        wanted.setProductCode(RUN);
        return Arrays.stream(ready(licensing, "licensing").listLeases(wanted).getLeases())
            .map(lease -> lease.getLeaseId().substring(RUN.length() + 1)).sorted().collect(Collectors.joining(" "));
    }

    public static void main(String[] arguments) throws Exception {
        licentia.admin.Admin admin = new licentia.admin.AdminServiceLocator().getAdminSoap11(address("admin"));
        licentia.sales.Sales sales = new licentia.sales.SalesServiceLocator().getSalesSoap11(address("sales"));
        licentia.depot.Depot depot = new licentia.depot.DepotServiceLocator().getDepotSoap11(address("depot"));
        licentia.licensing.Licensing licensing =
            new licentia.licensing.LicensingServiceLocator().getLicensingSoap11(address("licensing"));

        licentia.admin.Item item = new licentia.admin.Item();
        item.setProductCode(RUN);
        item.setQuantity(3);
        item.setFeatures(new String[] {"x", "y"});
        licentia.admin.PutProduct product = new licentia.admin.PutProduct();
        product.setSku(RUN);
        product.setName("Ä & <b>");
        product.setItems(new licentia.admin.Item[] {item});
        licentia.admin.PutProductResponse made = ready(admin, "admin").putProduct(product);
        say("product.created", made.isCreated());
        say("product.name", made.getName());
        say("product.features", String.join(" ", made.getItems(0).getFeatures()));

        licentia.sales.CreateOrderResponse first = ready(sales, "sales").createOrder(order(RUN));
        licentia.sales.CreateOrderResponse again = ready(sales, "sales").createOrder(order(RUN));
        say("order.created", first.isCreated());
        say("order.ticket", first.getTicket());
        say("repeat.created", again.isCreated());
        say("repeat.ticket", again.getTicket());
        try {
            ready(sales, "sales").createOrder(order("a b"));
        } catch (licentia.sales.LicensingFault fault) {
            say("invalid.code", fault.getCode());
            say("invalid.pointer", fault.getErrors(0).getPointer());
        }

        licentia.depot.GetTicket code = new licentia.depot.GetTicket();
        code.setCode(first.getTicket());
        licentia.depot.GetTicketResponse ticket = ready(depot, "depot").getTicket(code);
        say("ticket.customer", ticket.getCustomer());
        say("ticket.available", ticket.getLicenses(0).getAvailable());
        licentia.depot.Container container = new licentia.depot.Container();
        container.setKind("cloud-lite");
        container.setUser(RUN);
        licentia.depot.ActivateTicket activate = new licentia.depot.ActivateTicket();
        activate.setCode(first.getTicket());
        activate.setContainer(container);
        say("activation.state", ready(depot, "depot").activateTicket(activate).getState().getValue());

        StringBuilder seats = new StringBuilder();
        licentia.licensing.CheckoutLicenseResponse lease = null;
        for (int number = 1; number <= 3; number++) {
            lease = checkout(licensing, number);
            seats.append(number > 1 ? " " : "").append(lease.getSeatsInUse());
        }
        say("checkout.seats", seats);
        say("checkout.seconds", (lease.getExpiresAt().getTimeInMillis()
            - lease.getGrantedAt().getTimeInMillis()) / 1000);
        try {
            checkout(licensing, 4);
        } catch (licentia.licensing.LicensingFault fault) {
            say("refusal.code", fault.getCode());
        }
        say("renewal.created", checkout(licensing, 1).isCreated());
        say("leases", held(licensing));
        licentia.licensing.ReleaseLease release = new licentia.licensing.ReleaseLease();
        release.setLeaseId(RUN + "-1");
        ready(licensing, "licensing").releaseLease(release);
        say("released", held(licensing));
    }
}
