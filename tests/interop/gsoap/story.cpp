// The story with gSOAP: proxies and classes made by wsdl2h and soapcpp2, in one header for all services.
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "AdminSoap11.nsmap"
#include "soapAdminSoap11Proxy.h"
#include "soapDepotSoap11Proxy.h"
#include "soapLicensingSoap11Proxy.h"
#include "soapSalesSoap11Proxy.h"
#include "wsseapi.h"

static std::string environment(const std::string &name) { return getenv(name.c_str()); }

static const std::string run = environment("RUN");
static const std::string auth = environment("SOAP_AUTH");

template <class T>
static void say(const char *step, const T &value) {
    std::cout << step << "=" << std::boolalpha << value << std::endl;
}

// A proxy of a service that shows its key in the way that is wanted, anew for each call.
template <class Proxy>
struct Client : Proxy {
    std::string key, id, secret;

    Client(const char *service, const char *variable) : Proxy(SOAP_C_UTFSTRING), key(environment(variable)) {
        static std::vector<std::string> addresses;
        addresses.reserve(4);
        addresses.push_back(environment("LICENTIA_URL") + "/soap/" + service);
        this->soap_endpoint = addresses.back().c_str();
        size_t first = key.find('_'), second = key.find('_', first + 1);
        id = key.substr(first + 1, second - first - 1);
        secret = key.substr(second + 1);
    }

    Proxy &ready() {
        this->soap->userid = this->soap->passwd = this->soap->bearer = nullptr;
        if (auth == "basic") {
            this->soap->userid = id.c_str();
            this->soap->passwd = secret.c_str();
        } else if (auth == "bearer") {
            this->soap->bearer = key.c_str();
        } else if (auth == "digest") {
            soap_wsse_add_UsernameTokenDigest(this->soap, nullptr, id.c_str(), secret.c_str());
        } else {
            soap_wsse_add_UsernameTokenText(this->soap, nullptr, id.c_str(), secret.c_str());
        }
        return *this;
    }

    void check(int result) {
        if (result != SOAP_OK) {
            this->soap_stream_fault(std::cerr);
            exit(1);
        }
    }

    SOAP_ENV__Detail *detail(int result) {
        if (result == SOAP_OK) exit(2);
        SOAP_ENV__Fault *fault = this->soap->fault;
        return fault->detail ? fault->detail : fault->SOAP_ENV__Detail;
    }
};

int main() {
    Client<AdminSoap11Proxy> admin("admin", "KEY_ADMIN");
    Client<SalesSoap11Proxy> sales("sales", "KEY_SALES");
    Client<DepotSoap11Proxy> depot("depot", "KEY_DEPOT");
    Client<LicensingSoap11Proxy> licensing("licensing", "KEY_LICENSING");

    int three = 3;
    ns1__Item item;
    item.productCode = run;
    item.quantity = &three;
    item.features = {"x", "y"};
    ns1__PutProduct product;
    product.sku = run;
    product.name = "Ä & <b>";
    product.items = {&item};
    ns1__PutProductResponse made;
    admin.check(admin.ready().PutProduct(&product, made));
    say("product.created", made.created);
    say("product.name", made.name);
    say("product.features", made.items[0]->features[0] + " " + made.items[0]->features[1]);

    std::string name = "Ünal & Söhne <GmbH>";
    ns2__Customer customer;
    customer.id = "c1";
    customer.name = &name;
    ns2__OrderLine line;
    line.lineId = "1";
    line.sku = run;
    line.quantity = 1;
    ns2__CreateOrder order;
    order.source = "interop";
    order.orderNumber = run;
    order.customer = &customer;
    order.lines = {&line};
    ns2__CreateOrderResponse first, again, none;
    sales.check(sales.ready().CreateOrder(&order, first));
    sales.check(sales.ready().CreateOrder(&order, again));
    say("order.created", first.created);
    say("order.ticket", first.ticket);
    say("repeat.created", again.created);
    say("repeat.ticket", again.ticket);
    line.sku = "a b";
    ns2__LicensingFault *wrong = sales.detail(sales.ready().CreateOrder(&order, none))->ns2__LicensingFault_;
    say("invalid.code", wrong->code);
    say("invalid.pointer", wrong->errors[0]->pointer);

    ns3__GetTicket code;
    code.code = first.ticket;
    ns3__GetTicketResponse ticket;
    depot.check(depot.ready().GetTicket(&code, ticket));
    say("ticket.customer", ticket.customer);
    say("ticket.available", ticket.licenses[0]->available);
    std::string user = run;
    ns3__Container container;
    container.kind = "cloud-lite";
    container.user = &user;
    ns3__ActivateTicket activate;
    activate.code = first.ticket;
    activate.container = &container;
    ns3__ActivateTicketResponse activation;
    depot.check(depot.ready().ActivateTicket(&activate, activation));
    say("activation.state", soap_ns3__ActivationState2s(depot.soap, activation.state));

    ns4__CheckoutLicense wanted;
    wanted.productCode = wanted.user = run;
    ns4__CheckoutLicenseResponse lease;
    std::string seats;
    for (int number = 1; number <= 3; number++) {
        wanted.leaseId = run + "-" + std::to_string(number);
        licensing.check(licensing.ready().CheckoutLicense(&wanted, lease));
        seats += (number > 1 ? " " : "") + std::to_string(lease.seatsInUse);
    }
    say("checkout.seats", seats);
    say("checkout.seconds", lease.expiresAt - lease.grantedAt);
    wanted.leaseId = run + "-4";
    say("refusal.code",
        licensing.detail(licensing.ready().CheckoutLicense(&wanted, lease))->ns4__LicensingFault_->code);
    wanted.leaseId = run + "-1";
    licensing.check(licensing.ready().CheckoutLicense(&wanted, lease));
    say("renewal.created", lease.created);

    auto held = [&]() {
        ns4__ListLeases query;
        query.productCode = &user;
        ns4__ListLeasesResponse page;
        licensing.check(licensing.ready().ListLeases(&query, page));
        std::vector<std::string> numbers;
        for (const auto *entry : page.leases) numbers.push_back(entry->leaseId.substr(run.size() + 1));
        std::sort(numbers.begin(), numbers.end());
        std::string all;
        for (const auto &number : numbers) all += (all.empty() ? "" : " ") + number;
        return all;
    };
    say("leases", held());
    ns4__ReleaseLease release;
    release.leaseId = run + "-1";
    ns4__ReleaseLeaseResponse done;
    licensing.check(licensing.ready().ReleaseLease(&release, done));
    say("released", held());
    return 0;
}
