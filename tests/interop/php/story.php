<?php
// The story with PHP's SoapClient: types and operations come from the WSDL when the program runs.

const WSSE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd';
const WSU = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd';
const PROFILE = 'http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0';
$run = getenv('RUN');

/** A client of one service; a UsernameToken is PHP code, as SoapClient knows none. */
class Client extends SoapClient
{
    private string $id;
    private string $secret;

    public function __construct(string $service)
    {
        $key = getenv('KEY_' . strtoupper($service));
        [, $this->id, $this->secret] = explode('_', $key, 3);
        [$wsdl, $version] = getenv('SOAP_VERSION') === '1.2' ? ['wsdl12', SOAP_1_2] : ['wsdl', SOAP_1_1];
        $options = ['soap_version' => $version, 'cache_wsdl' => WSDL_CACHE_NONE,
            'features' => SOAP_SINGLE_ELEMENT_ARRAYS];
        if (getenv('SOAP_AUTH') === 'basic') {
            $options += ['login' => $this->id, 'password' => $this->secret];
        } elseif (getenv('SOAP_AUTH') === 'bearer') {
            $options['stream_context'] = stream_context_create(['http' => ['header' => "Authorization: Bearer $key"]]);
        }
        parent::__construct(getenv('LICENTIA_URL') . "/soap/$service?$wsdl", $options);
    }

    public function __call(string $name, array $arguments): mixed
    {
        $auth = getenv('SOAP_AUTH');
        $headers = $auth === 'text' || $auth === 'digest' ? [$this->token($auth)] : null;
        return $this->__soapCall($name, $arguments, null, $headers);
    }

    private function token(string $auth): SoapHeader
    {
        $password = '<w:Password>' . $this->secret . '</w:Password>';
        if ($auth === 'digest') {
            [$nonce, $created] = [random_bytes(16), gmdate('Y-m-d\TH:i:s\Z')];
            $digest = base64_encode(sha1($nonce . $created . $this->secret, true));
            $password = '<w:Password Type="' . PROFILE . "#PasswordDigest\">$digest</w:Password>"
                . '<w:Nonce>' . base64_encode($nonce) . "</w:Nonce><u:Created>$created</u:Created>";
        }
        $xml = '<w:Security xmlns:w="' . WSSE . '" xmlns:u="' . WSU . '"><w:UsernameToken><w:Username>' . $this->id
            . "</w:Username>$password</w:UsernameToken></w:Security>";
        return new SoapHeader(WSSE, 'Security', new SoapVar($xml, XSD_ANYXML), true);
    }
}

function say(string $step, mixed $value): void
{
    echo $step, '=', is_bool($value) ? ($value ? 'true' : 'false') : $value, "\n";
}

/** The typed detail of the fault that a call gives. */
function refusal(callable $call): object
{
    try {
        $call();
    } catch (SoapFault $fault) {
        return $fault->detail->LicensingFault;
    }
    exit('no fault');
}

$admin = new Client('admin');
$sales = new Client('sales');
$depot = new Client('depot');
$licensing = new Client('licensing');

$item = ['productCode' => $run, 'quantity' => 3, 'features' => ['x', 'y']];
$product = $admin->PutProduct(['sku' => $run, 'name' => 'Ä & <b>', 'items' => [$item]]);
say('product.created', $product->created);
say('product.name', $product->name);
say('product.features', implode(' ', $product->items[0]->features));

$order = [
    'source' => 'interop', 'orderNumber' => $run,
    'customer' => ['id' => 'c1', 'name' => 'Ünal & Söhne <GmbH>'],
    'lines' => [['lineId' => '1', 'sku' => $run, 'quantity' => 1]],
];
$first = $sales->CreateOrder($order);
$again = $sales->CreateOrder($order);
say('order.created', $first->created);
say('order.ticket', $first->ticket);
say('repeat.created', $again->created);
say('repeat.ticket', $again->ticket);
$order['lines'][0]['sku'] = 'a b';
$wrong = refusal(fn () => $sales->CreateOrder($order));
say('invalid.code', $wrong->code);
say('invalid.pointer', (is_array($wrong->errors) ? $wrong->errors[0] : $wrong->errors)->pointer);

$ticket = $depot->GetTicket(['code' => $first->ticket]);
say('ticket.customer', $ticket->customer);
say('ticket.available', $ticket->licenses[0]->available);
$container = ['kind' => 'cloud-lite', 'user' => $run];
say('activation.state', $depot->ActivateTicket(['code' => $first->ticket, 'container' => $container])->state);

$checkout = fn (int $number) => $licensing->CheckoutLicense(
    ['leaseId' => "$run-$number", 'productCode' => $run, 'user' => $run]
);
$leases = array_map($checkout, [1, 2, 3]);
say('checkout.seats', implode(' ', array_map(fn ($lease) => $lease->seatsInUse, $leases)));
say('checkout.seconds', round(strtotime($leases[0]->expiresAt) - strtotime($leases[0]->grantedAt)));
say('refusal.code', refusal(fn () => $checkout(4))->code);
say('renewal.created', $checkout(1)->created);

function held(Client $licensing, string $run): string
{
    $leases = $licensing->ListLeases(['productCode' => $run])->leases;
    $numbers = array_map(fn ($lease) => substr($lease->leaseId, -1), $leases);
    sort($numbers);
    return implode(' ', $numbers);
}

say('leases', held($licensing, $run));
$licensing->ReleaseLease(['leaseId' => "$run-1"]);
say('released', held($licensing, $run));
