// The story with a .NET Framework web reference ("ASMX"), made by wsdl; fields come and go as parameters.
using System;
using System.Linq;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Web.Services.Protocols;
using System.Xml;

static class Access
{
    const string Wss = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-";
    static readonly string Auth = Environment.GetEnvironmentVariable("SOAP_AUTH");

    static string[] Key(string service)
    {
        return Environment.GetEnvironmentVariable("KEY_" + service.ToUpper()).Split(new[] {'_'}, 3);
    }

    /// A proxy that sends the key as HTTP wants it; without PreAuthenticate each call would be refused first.
    public static T Prepare<T>(T proxy, string service) where T : SoapHttpClientProtocol
    {
        proxy.Url = Environment.GetEnvironmentVariable("LICENTIA_URL") + "/soap/" + service;
        if (Auth == "basic") {
            proxy.Credentials = new NetworkCredential(Key(service)[1], Key(service)[2]);
            proxy.PreAuthenticate = true;
        }
        return proxy;
    }

    public static WebRequest Bearer(WebRequest request, string service)
    {
        if (Auth == "bearer") request.Headers["Authorization"] = "Bearer " + string.Join("_", Key(service));
        return request;
    }

    /// A UsernameToken for one message; a web reference itself knows none.
    public static void Sign(SoapClientMessage message, string service)
    {
        if (Auth != "text" && Auth != "digest") return;
        var secret = Key(service)[2];
        var password = "<w:Password>" + secret + "</w:Password>";
        if (Auth == "digest") {
            var nonce = new byte[16];
            RandomNumberGenerator.Create().GetBytes(nonce);
            var created = DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ssZ");
            var digest = SHA1.Create().ComputeHash(nonce.Concat(Encoding.UTF8.GetBytes(created + secret)).ToArray());
            password = "<w:Password Type='" + Wss + "username-token-profile-1.0#PasswordDigest'>"
                + Convert.ToBase64String(digest) + "</w:Password><w:Nonce>" + Convert.ToBase64String(nonce)
                + "</w:Nonce><u:Created>" + created + "</u:Created>";
        }
        var document = new XmlDocument();
        document.LoadXml("<w:Security xmlns:w='" + Wss + "wssecurity-secext-1.0.xsd' xmlns:u='" + Wss
            + "wssecurity-utility-1.0.xsd'><w:UsernameToken><w:Username>" + Key(service)[1] + "</w:Username>"
            + password + "</w:UsernameToken></w:Security>");
        message.Headers.Add(new SoapUnknownHeader {Element = document.DocumentElement});
    }
}

// The generated classes are partial: two methods of each are made to show the key.
namespace Licentia.Admin
{
    public partial class AdminService
    {
        protected override WebRequest GetWebRequest(Uri uri) { return Access.Bearer(base.GetWebRequest(uri), "admin"); }
        protected override XmlWriter GetWriterForMessage(SoapClientMessage message, int size)
        {
            Access.Sign(message, "admin");
            return base.GetWriterForMessage(message, size);
        }
    }
}

namespace Licentia.Sales
{
    public partial class SalesService
    {
        protected override WebRequest GetWebRequest(Uri uri) { return Access.Bearer(base.GetWebRequest(uri), "sales"); }
        protected override XmlWriter GetWriterForMessage(SoapClientMessage message, int size)
        {
            Access.Sign(message, "sales");
            return base.GetWriterForMessage(message, size);
        }
    }
}

namespace Licentia.Depot
{
    public partial class DepotService
    {
        protected override WebRequest GetWebRequest(Uri uri) { return Access.Bearer(base.GetWebRequest(uri), "depot"); }
        protected override XmlWriter GetWriterForMessage(SoapClientMessage message, int size)
        {
            Access.Sign(message, "depot");
            return base.GetWriterForMessage(message, size);
        }
    }
}

namespace Licentia.Licensing
{
    public partial class LicensingService
    {
        protected override WebRequest GetWebRequest(Uri uri) { return Access.Bearer(base.GetWebRequest(uri), "licensing"); }
        protected override XmlWriter GetWriterForMessage(SoapClientMessage message, int size)
        {
            Access.Sign(message, "licensing");
            return base.GetWriterForMessage(message, size);
        }
    }
}

class Story
{
    static readonly string Run = Environment.GetEnvironmentVariable("RUN");

    static void Say(string step, object value)
    {
        Console.WriteLine(step + "=" + (value is bool ? value.ToString().ToLower() : value));
    }

    /// The detail of the fault that a call gives; a web reference leaves it as XML.
    static XmlElement Refusal(Action call)
    {
        try {
            call();
        } catch (SoapException fault) {
            return fault.Detail["LicensingFault"];
        }
        throw new Exception("no fault");
    }

    static void Order(Licentia.Sales.SalesService sales, string sku, out string ticket, out bool created)
    {
        string source = "interop", number = Run;
        var customer = new Licentia.Sales.Customer {id = "c1", name = "Ünal & Söhne <GmbH>"};
        var lines = new[] {new Licentia.Sales.OrderLine {lineId = "1", sku = sku, quantity = 1}};
        Licentia.Sales.OrderStatus status;
        int version;
        Licentia.Sales.TicketLicense[] licenses;
        long toReclaim;
        DateTime createdAt, updatedAt;
        bool test, testGiven;
        sales.CreateOrder(ref source, ref number, ref customer, ref lines, out status, out version, out test,
            out testGiven, out ticket, out licenses, out toReclaim, out createdAt, out updatedAt, out created);
    }

    class Lease
    {
        public long seatsInUse;
        public double seconds;
        public bool created;

        public Lease(Licentia.Licensing.LicensingService licensing, int number)
        {
            string id = Run + "-" + number, code = Run, user = Run, feature = null, station = null, token;
            var seats = 1;
            bool seatsGiven = true, limited, stateGiven;
            Licentia.Licensing.LeaseState state;
            Licentia.Licensing.LicenseSeats[] from;
            DateTime granted, expires;
            long total;
            int renew;
            licensing.CheckoutLicense(ref id, ref code, ref user, ref feature, ref seats, ref seatsGiven, ref station,
                0, false, DateTime.MinValue, false, 0, false, 0, false, out granted, out expires, out state,
                out stateGiven, out from, out seatsInUse, out total, out limited, out renew, out token, out created);
            seconds = Math.Round((expires - granted).TotalSeconds);
        }
    }

    static string Held(Licentia.Licensing.LicensingService licensing)
    {
        string next;
        var leases = licensing.ListLeases(Run, null, null, 0, false, out next);
        return string.Join(" ", leases.Select(lease => lease.leaseId.Substring(Run.Length + 1)).OrderBy(x => x));
    }

    static void Main()
    {
        Console.OutputEncoding = new UTF8Encoding(false);
        var sales = Access.Prepare(new Licentia.Sales.SalesService(), "sales");
        var depot = Access.Prepare(new Licentia.Depot.DepotService(), "depot");
        var licensing = Access.Prepare(new Licentia.Licensing.LicensingService(), "licensing");
        var admin = Access.Prepare(new Licentia.Admin.AdminService(), "admin");
        string sku = Run, name = "Ä & <b>";
        var items = new[] {new Licentia.Admin.Item {
            productCode = Run, quantity = 3, quantitySpecified = true, features = new[] {"x", "y"}}};
        bool created;
        admin.PutProduct(ref sku, ref name, ref items, out created);
        Say("product.created", created);
        Say("product.name", name);
        Say("product.features", string.Join(" ", items[0].features));

        string ticket, again;
        Order(sales, Run, out ticket, out created);
        Say("order.created", created);
        Say("order.ticket", ticket);
        Order(sales, Run, out again, out created);
        Say("repeat.created", created);
        Say("repeat.ticket", again);
        var wrong = Refusal(() => { string t; bool c; Order(sales, "a b", out t, out c); });
        Say("invalid.code", wrong["code"].InnerText);
        Say("invalid.pointer", wrong["errors"]["pointer"].InnerText);

        string source, number, customer;
        Licentia.Depot.TicketLicense[] onTicket;
        depot.GetTicket(ticket, out source, out number, out customer, out onTicket);
        Say("ticket.customer", customer);
        Say("ticket.available", onTicket[0].available);
        string kind, containerId, user;
        Licentia.Depot.ActivationState state;
        Licentia.Depot.ActivatedLicense[] activated;
        Licentia.Depot.Delivery delivery;
        DateTime activatedAt, endedAt, restorableAt;
        bool ended, restorable;
        var container = new Licentia.Depot.Container {kind = "cloud-lite", user = Run};
        depot.ActivateTicket(ticket, container, null, 0, false, out ticket, out kind, out containerId, out user,
            out state, out activated, out delivery, out activatedAt, out endedAt, out ended,
            out restorableAt, out restorable);
        Say("activation.state", state);

        var leases = new[] {new Lease(licensing, 1), new Lease(licensing, 2), new Lease(licensing, 3)};
        Say("checkout.seats", string.Join(" ", leases.Select(lease => lease.seatsInUse)));
        Say("checkout.seconds", leases[0].seconds);
        Say("refusal.code", Refusal(() => new Lease(licensing, 4))["code"].InnerText);
        Say("renewal.created", new Lease(licensing, 1).created);
        Say("leases", Held(licensing));
        licensing.ReleaseLease(Run + "-1");
        Say("released", Held(licensing));
    }
}
