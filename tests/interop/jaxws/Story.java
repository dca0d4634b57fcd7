// The story with JAX-WS: a class per message and a typed exception, made by wsimport.
import java.net.URL;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import javax.xml.namespace.QName;
import javax.xml.soap.SOAPElement;
import javax.xml.soap.SOAPException;
import javax.xml.soap.SOAPHeaderElement;
import javax.xml.soap.SOAPMessage;
import javax.xml.ws.BindingProvider;
import javax.xml.ws.Service;
import javax.xml.ws.handler.MessageContext;
import javax.xml.ws.handler.soap.SOAPHandler;
import javax.xml.ws.handler.soap.SOAPMessageContext;

public class Story {
    static final String RUN = System.getenv("RUN");
    static final String AUTH = System.getenv("SOAP_AUTH");
    static final boolean TWELVE = System.getenv("SOAP_VERSION").equals("1.2");

    /** Writes a UsernameToken into each request; JAX-WS itself knows none. */
    static class Token implements SOAPHandler<SOAPMessageContext> {
        static final String WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-";
        static final QName SECURITY = new QName(WSS + "wssecurity-secext-1.0.xsd", "Security", "wsse");
        final String id;
        final String secret;

        Token(String id, String secret) {
            this.id = id;
            this.secret = secret;
        }

        public boolean handleMessage(SOAPMessageContext context) {
            if (!(Boolean) context.get(MessageContext.MESSAGE_OUTBOUND_PROPERTY)) {
                return true;
            }
            try {
                SOAPMessage message = context.getMessage();
                if (message.getSOAPHeader() == null) {
                    message.getSOAPPart().getEnvelope().addHeader();
                }
                SOAPHeaderElement security = message.getSOAPHeader().addHeaderElement(SECURITY);
                SOAPElement token = security.addChildElement("UsernameToken", "wsse");
                token.addChildElement("Username", "wsse").setTextContent(id);
                SOAPElement password = token.addChildElement("Password", "wsse");
                password.setTextContent(secret);
                if (AUTH.equals("digest")) {
                    digest(token, password);
                }
                return true;
            } catch (SOAPException | java.security.GeneralSecurityException problem) {
                throw new IllegalStateException(problem);
            }
        }

        private void digest(SOAPElement token, SOAPElement password)
                throws SOAPException, java.security.GeneralSecurityException {
            byte[] nonce = new byte[16];
            new SecureRandom().nextBytes(nonce);
            String created = Instant.now().toString();
            MessageDigest sha1 = MessageDigest.getInstance("SHA-1");
            sha1.update(nonce);
            sha1.update((created + secret).getBytes());
            password.setTextContent(Base64.getEncoder().encodeToString(sha1.digest()));
            password.setAttribute("Type", WSS + "username-token-profile-1.0#PasswordDigest");
            token.addChildElement("Nonce", "wsse").setTextContent(Base64.getEncoder().encodeToString(nonce));
            token.addChildElement("Created", "wsu", WSS + "wssecurity-utility-1.0.xsd").setTextContent(created);
        }

        public Set<QName> getHeaders() {
            return Set.of(SECURITY);
        }

        public boolean handleFault(SOAPMessageContext context) {
            return true;
        }

        public void close(MessageContext context) {
        }
    }

    static URL wsdl(String service) throws Exception {
        return new URL(System.getenv("LICENTIA_URL") + "/soap/" + service + (TWELVE ? "?wsdl12" : "?wsdl"));
    }

    /** The port of a service, which shows its key in the way that is wanted. */
    static <T> T port(Service service, Class<T> type) {
        String name = type.getSimpleName();
        T port = service.getPort(
            new QName(service.getServiceName().getNamespaceURI(), name + (TWELVE ? "Soap12" : "Soap11")), type);
        String key = System.getenv("KEY_" + name.toUpperCase());
        String[] parts = key.split("_", 3);
        BindingProvider provider = (BindingProvider) port;
        switch (AUTH) {
            case "basic":
                provider.getRequestContext().put(BindingProvider.USERNAME_PROPERTY, parts[1]);
                provider.getRequestContext().put(BindingProvider.PASSWORD_PROPERTY, parts[2]);
                break;
            case "bearer":
                provider.getRequestContext().put(
                    MessageContext.HTTP_REQUEST_HEADERS, Map.of("Authorization", List.of("Bearer " + key)));
                break;
            default:
                provider.getBinding().setHandlerChain(List.of(new Token(parts[1], parts[2])));
        }
        return port;
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
        order.getLines().add(line);
        return order;
    }

    static licentia.licensing.CheckoutLicenseResponse checkout(licentia.licensing.Licensing licensing, int number)
            throws licentia.licensing.LicensingFault_Exception {
        licentia.licensing.CheckoutLicense wanted = new licentia.licensing.CheckoutLicense();
        wanted.setLeaseId(RUN + "-" + number);
        wanted.setProductCode(RUN);
        wanted.setUser(RUN);
        return licensing.checkoutLicense(wanted);
    }

    static String held(licentia.licensing.Licensing licensing) throws licentia.licensing.LicensingFault_Exception {
        licentia.licensing.ListLeases wanted = new licentia.licensing.ListLeases();
        wanted.setProductCode(RUN);
        return licensing.listLeases(wanted).getLeases().stream()
            .map(lease -> lease.getLeaseId().substring(RUN.length() + 1)).sorted().collect(Collectors.joining(" "));
    }

    public static void main(String[] arguments) throws Exception {
        licentia.admin.Admin admin = port(new licentia.admin.AdminService(wsdl("admin")), licentia.admin.Admin.class);
        licentia.sales.Sales sales = port(new licentia.sales.SalesService(wsdl("sales")), licentia.sales.Sales.class);
        licentia.depot.Depot depot = port(new licentia.depot.DepotService(wsdl("depot")), licentia.depot.Depot.class);
        licentia.licensing.Licensing licensing =
            port(new licentia.licensing.LicensingService(wsdl("licensing")), licentia.licensing.Licensing.class);

        licentia.admin.Item item = new licentia.admin.Item();
        item.setProductCode(RUN);
        item.setQuantity(3);
        item.getFeatures().addAll(List.of("x", "y"));
        licentia.admin.PutProduct product = new licentia.admin.PutProduct();
        product.setSku(RUN);
        product.setName("Ä & <b>");
        product.getItems().add(item);
        licentia.admin.PutProductResponse made = admin.putProduct(product);
        say("product.created", made.isCreated());
        say("product.name", made.getName());
        say("product.features", String.join(" ", made.getItems().get(0).getFeatures()));

        licentia.sales.CreateOrderResponse first = sales.createOrder(order(RUN));
        licentia.sales.CreateOrderResponse again = sales.createOrder(order(RUN));
        say("order.created", first.isCreated());
        say("order.ticket", first.getTicket());
        say("repeat.created", again.isCreated());
        say("repeat.ticket", again.getTicket());
        try {
            sales.createOrder(order("a b"));
        } catch (licentia.sales.LicensingFault_Exception fault) {
            say("invalid.code", fault.getFaultInfo().getCode());
            say("invalid.pointer", fault.getFaultInfo().getErrors().get(0).getPointer());
        }

        licentia.depot.GetTicket code = new licentia.depot.GetTicket();
        code.setCode(first.getTicket());
        licentia.depot.GetTicketResponse ticket = depot.getTicket(code);
        say("ticket.customer", ticket.getCustomer());
        say("ticket.available", ticket.getLicenses().get(0).getAvailable());
        licentia.depot.Container container = new licentia.depot.Container();
        container.setKind("cloud-lite");
        container.setUser(RUN);
        licentia.depot.ActivateTicket activate = new licentia.depot.ActivateTicket();
        activate.setCode(first.getTicket());
        activate.setContainer(container);
        say("activation.state", depot.activateTicket(activate).getState().value());

        StringBuilder seats = new StringBuilder();
        licentia.licensing.CheckoutLicenseResponse lease = null;
        for (int number = 1; number <= 3; number++) {
            lease = checkout(licensing, number);
            seats.append(number > 1 ? " " : "").append(lease.getSeatsInUse());
        }
        say("checkout.seats", seats);
        say("checkout.seconds", (lease.getExpiresAt().toGregorianCalendar().getTimeInMillis()
            - lease.getGrantedAt().toGregorianCalendar().getTimeInMillis()) / 1000);
        try {
            checkout(licensing, 4);
        } catch (licentia.licensing.LicensingFault_Exception fault) {
            say("refusal.code", fault.getFaultInfo().getCode());
        }
        say("renewal.created", checkout(licensing, 1).isCreated());
        say("leases", held(licensing));
        licentia.licensing.ReleaseLease release = new licentia.licensing.ReleaseLease();
        release.setLeaseId(RUN + "-1");
        licensing.releaseLease(release);
        say("released", held(licensing));
    }
}
